//! Tasks that do nothing but let each other run.

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks that yield.
const TASKS: usize = 400;
/// Yields of each.
const YIELDS: usize = 1_000;

/// yield_many
pub(crate) struct YieldMany;

impl Row for YieldMany {
    const NAME: &'static str = "yield_many";
    const OPERATION: &'static str = "yield";
    const WORK: &'static str = "400 tasks x 1000 yields";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let yields = plan.of(YIELDS);
        let watch = Stopwatch::start();
        let mut tasks = Vec::with_capacity(TASKS);
        for _ in 0..TASKS {
            tasks.push(rt.spawn(async move {
                for _ in 0..yields {
                    rt.yield_now().await;
                }
            }));
        }
        for task in tasks {
            task.await;
        }
        Ok(watch.per(TASKS * yields))
    }
}
