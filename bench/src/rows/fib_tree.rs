//! Fork and join: a tree of tasks.

use std::future::Future;
use std::pin::Pin;

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// The number asked for.
const N: u32 = 22;
/// Its Fibonacci number.
const FIB_N: u64 = 17_711;
/// Tasks spawned on the way: one for each call with n above 1, and there are fib(n + 1) - 1 of those.
const TASKS: usize = 28_656;
/// Trees per turn: one alone takes only milliseconds.
const TREES: usize = 10;

/// fib_tree
pub(crate) struct FibTree;

impl Row for FibTree {
    const NAME: &'static str = "fib_tree";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "recursive fib(22), one branch spawned, one inline; 10 times";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let trees = plan.of(TREES);
        let watch = Stopwatch::start();
        for _ in 0..trees {
            assert_eq!(fib(rt, N).await, FIB_N);
        }
        Ok(watch.per(trees * TASKS))
    }
}

/// The n-th Fibonacci number, with a task for every n - 1.
fn fib<R: Runtime>(rt: R, n: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return u64::from(n);
        }
        let left = rt.spawn(fib(rt, n - 1));
        let right = fib(rt, n - 2).await;
        left.await + right
    })
}
