//! A semaphore of a few permits: alone, and wanted by many.

use std::sync::Arc;

use super::lock::crowd;
use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::{Runtime, Semaphore};

/// Permits there are.
const PERMITS: usize = 10;
/// Acquisitions of a task that is alone.
const ALONE: usize = 1_000_000;
/// Tasks that want a permit.
const TASKS: usize = 100;
/// Acquisitions of each.
const TIMES: usize = 1_000;

/// semaphore_one
pub(crate) struct One;

impl Row for One {
    const NAME: &'static str = "semaphore_one";
    const OPERATION: &'static str = "acquisition";
    const WORK: &'static str =
        "one task, 1 000 000 times: acquire one of 10 permits that nobody else wants, release it";

    async fn body<R: Runtime>(_rt: R, plan: Plan) -> Measured {
        let times = plan.of(ALONE);
        let semaphore = R::Semaphore::new(PERMITS);
        let watch = Stopwatch::start();
        for _ in 0..times {
            drop(semaphore.acquire().await);
        }
        Ok(watch.per(times))
    }
}

/// semaphore
pub(crate) struct Contended;

impl Row for Contended {
    const NAME: &'static str = "semaphore";
    const OPERATION: &'static str = "acquisition";
    const WORK: &'static str =
        "100 tasks x 1000: acquire one of 10 permits, yield while holding it, release it";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let times = plan.of(TIMES);
        let semaphore = Arc::new(R::Semaphore::new(PERMITS));
        let watch = Stopwatch::start();
        let task = |semaphore: Arc<R::Semaphore>| async move {
            for _ in 0..times {
                let permit = semaphore.acquire().await;
                rt.yield_now().await;
                drop(permit);
            }
        };
        crowd(rt, TASKS, || task(Arc::clone(&semaphore))).await;
        Ok(watch.per(TASKS * times))
    }
}
