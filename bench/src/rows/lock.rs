//! A lock around a number: alone, handed over while others wait, and held too shortly to be waited for often.

use std::sync::Arc;

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::{Lock, Runtime};

/// Acquisitions of a task that is alone.
const ALONE: usize = 1_000_000;
/// Tasks that want the lock.
const TASKS: usize = 100;
/// Acquisitions of each, held across a yield.
const LONG: usize = 1_000;
/// Acquisitions of each, held for one addition.
const SHORT: usize = 10_000;

/// lock_one
pub(crate) struct One;

impl Row for One {
    const NAME: &'static str = "lock_one";
    const OPERATION: &'static str = "acquisition";
    const WORK: &'static str =
        "one task, 1 000 000 times: acquire a lock that nobody else wants, change its value, release";

    async fn body<R: Runtime>(_rt: R, plan: Plan) -> Measured {
        let times = plan.of(ALONE);
        let lock = R::Lock::new(0);
        let watch = Stopwatch::start();
        for _ in 0..times {
            *lock.acquire().await += 1;
        }
        let sample = watch.per(times);
        check(&lock, times).await;
        Ok(sample)
    }
}

/// lock
pub(crate) struct Contended;

impl Row for Contended {
    const NAME: &'static str = "lock";
    const OPERATION: &'static str = "acquisition";
    const WORK: &'static str =
        "100 tasks x 1000: acquire one lock, change its value, yield while holding it, release";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let times = plan.of(LONG);
        let lock = Arc::new(R::Lock::new(0));
        let watch = Stopwatch::start();
        let task = |lock: Arc<R::Lock>| async move {
            for _ in 0..times {
                let mut value = lock.acquire().await;
                *value += 1;
                rt.yield_now().await;
            }
        };
        crowd(rt, TASKS, || task(Arc::clone(&lock))).await;
        let sample = watch.per(TASKS * times);
        check(&*lock, TASKS * times).await;
        Ok(sample)
    }
}

/// lock_short
pub(crate) struct Short;

impl Row for Short {
    const NAME: &'static str = "lock_short";
    const OPERATION: &'static str = "acquisition";
    const WORK: &'static str =
        "100 tasks x 10 000: acquire one lock, change its value, release, then yield; on all workers";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let times = plan.of(SHORT);
        let lock = Arc::new(R::Lock::new(0));
        let watch = Stopwatch::start();
        let task = |lock: Arc<R::Lock>| async move {
            for _ in 0..times {
                *lock.acquire().await += 1;
                rt.yield_now().await;
            }
        };
        crowd(rt, TASKS, || task(Arc::clone(&lock))).await;
        let sample = watch.per(TASKS * times);
        check(&*lock, TASKS * times).await;
        Ok(sample)
    }
}

/// Runs so many tasks that `make` makes and waits for all of them.
pub(super) async fn crowd<R: Runtime, F>(rt: R, count: usize, make: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|_| rt.spawn(make())).collect();
    for task in tasks {
        task.await;
    }
}

/// Each acquisition has added one.
async fn check<L: Lock>(lock: &L, acquisitions: usize) {
    let value = *lock.acquire().await;
    assert_eq!(value, acquisitions as u64, "an addition under the lock was lost");
}
