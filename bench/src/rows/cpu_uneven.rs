//! Work of uneven size that has to be spread.

use std::hint::black_box;

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks born on one worker.
const TASKS: usize = 2_000;
/// Batches per turn: one alone takes only milliseconds.
const BATCHES: usize = 20;

/// cpu_uneven
pub(crate) struct CpuUneven;

impl Row for CpuUneven {
    const NAME: &'static str = "cpu_uneven";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "2000 tasks of 2^(0..=13) steps, all born on one worker; 20 times";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let batches = plan.of(BATCHES);
        // The same sizes in the same order for everybody.
        let mut sizes = fastrand::Rng::with_seed(13);
        let watch = Stopwatch::start();
        for _ in 0..batches {
            let mut tasks = Vec::with_capacity(TASKS);
            for _ in 0..TASKS {
                let count = 1_u32 << sizes.u32(0..=13);
                tasks.push(rt.spawn(async move { steps(count) }));
            }
            for task in tasks {
                black_box(task.await);
            }
        }
        Ok(watch.per(batches * TASKS))
    }
}

/// So many dependent steps of a generator, which no compiler can shorten.
fn steps(count: u32) -> u64 {
    let mut value = black_box(1_u64);
    for _ in 0..count {
        value = (value ^ (value >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    value
}
