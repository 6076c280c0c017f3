//! Many tasks that return something.

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks per round.
const TASKS: usize = 10_000;
/// Rounds.
const ROUNDS: usize = 10;

/// spawn_join
pub(crate) struct SpawnJoin;

impl Row for SpawnJoin {
    const NAME: &'static str = "spawn_join";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "10 x 10 000 tasks that return a number, awaited in order";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let rounds = plan.of(ROUNDS);
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            let mut tasks = Vec::with_capacity(TASKS);
            for number in 0..TASKS {
                tasks.push(rt.spawn(async move { number }));
            }
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await, number);
            }
        }
        Ok(watch.per(rounds * TASKS))
    }
}
