//! What a parked task costs.

use std::future::poll_fn;
use std::task::Poll;

use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::machine::resident_bytes;
use crate::measure::{Metric, Plan};
use crate::runtimes::Runtime;

/// Tasks parked.
const TASKS: usize = 1_000_000;

/// Counts the tasks that have been polled.
static PARKED: Countdown = Countdown::new();

/// memory
pub(crate) struct Memory;

impl Row for Memory {
    const NAME: &'static str = "memory";
    const OPERATION: &'static str = "byte";
    const WORK: &'static str =
        "1 000 000 detached tasks parked on a pending future of no size: resident bytes per task";
    const METRICS: &'static [Metric] = &[Metric::Bytes];
    const FRESH_PROCESS: bool = true;
    const WARM_UP: bool = false;
    const MOST_ROUNDS: usize = 3;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let tasks = plan.of(TASKS);
        let before = resident_bytes()?;
        let all = PARKED.arm(tasks);
        for _ in 0..tasks {
            // Polled once, and nobody keeps its waker: the tasks are never heard of again. Where the
            // runtime frees such a task the figure would be near 0; none of them does.
            rt.detach(poll_fn(|_| {
                PARKED.tick();
                Poll::Pending
            }));
        }
        all.await?;
        Ok(vec![resident_bytes()?.saturating_sub(before) as f64 / tasks as f64])
    }
}
