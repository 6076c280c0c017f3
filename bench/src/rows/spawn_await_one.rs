//! One task at a time.

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks, one after the other.
const TASKS: usize = 100_000;

/// spawn_await_one
pub(crate) struct SpawnAwaitOne;

impl Row for SpawnAwaitOne {
    const NAME: &'static str = "spawn_await_one";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "100 000 times: spawn one, await it";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let tasks = plan.of(TASKS);
        let watch = Stopwatch::start();
        for number in 0..tasks {
            assert_eq!(rt.spawn(async move { number }).await, number);
        }
        Ok(watch.per(tasks))
    }
}
