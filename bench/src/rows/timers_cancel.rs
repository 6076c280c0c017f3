//! Timers that never fire: the time-out of a server that answers in time.

use std::time::Duration;

use futures_lite::future::poll_once;

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks at it.
const TASKS: usize = 400;
/// Timers of each.
const TIMERS: usize = 1_000;
/// Longer than the row runs.
const TIME: Duration = Duration::from_secs(5);

/// timers_cancel
pub(crate) struct TimersCancel;

impl Row for TimersCancel {
    const NAME: &'static str = "timers_cancel";
    const OPERATION: &'static str = "timer";
    const WORK: &'static str = "400 tasks x 1000: create a sleep of 5 s, poll it once, drop it";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let timers = plan.of(TIMERS);
        let watch = Stopwatch::start();
        let mut tasks = Vec::with_capacity(TASKS);
        for _ in 0..TASKS {
            tasks.push(rt.spawn(async move {
                for _ in 0..timers {
                    assert!(poll_once(rt.sleep(TIME)).await.is_none(), "a sleep of 5 s ended at once");
                }
            }));
        }
        for task in tasks {
            task.await;
        }
        Ok(watch.per(TASKS * timers))
    }
}
