//! The blocking pool.
//!
//! Each turn in a fresh process: the threads of smol's pool never end and wake twice a second, which the turns after
//! it would pay for.

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Calls.
const CALLS: usize = 20_000;

/// blocking
pub(crate) struct Many;

impl Row for Many {
    const NAME: &'static str = "blocking";
    const OPERATION: &'static str = "call";
    const WORK: &'static str = "20 000 no-op calls on the blocking pool, submitted at once, all awaited";
    const FRESH_PROCESS: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let count = plan.of(CALLS);
        let watch = Stopwatch::start();
        let mut calls = Vec::with_capacity(count);
        for _ in 0..count {
            calls.push(rt.submit_blocking(|| ()));
        }
        for call in calls {
            call.await;
        }
        Ok(watch.per(count))
    }
}

/// blocking_one
pub(crate) struct One;

impl Row for One {
    const NAME: &'static str = "blocking_one";
    const OPERATION: &'static str = "call";
    const WORK: &'static str = "20 000 times: one no-op call, awaited";
    const FRESH_PROCESS: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let count = plan.of(CALLS);
        let watch = Stopwatch::start();
        for _ in 0..count {
            rt.blocking(|| ()).await;
        }
        Ok(watch.per(count))
    }
}
