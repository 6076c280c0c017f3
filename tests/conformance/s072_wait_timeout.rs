//! A time-out of `wait` cancels nothing and raises nothing; the pending task goes on.

use kumihimo as asyncio;
use kumihimo::{Done, Task, task};

use crate::trace::seconds;

async fn work(label: &'static str, delay: f64) -> &'static str {
    asyncio::sleep(seconds(delay)).await;
    log!(label, "ends");
    label
}

fn names(tasks: &[&Task<&str>]) -> Vec<String> {
    let mut names: Vec<_> = tasks.iter().map(|task| task.name()).collect();
    names.sort();
    names
}

pub(crate) async fn main() {
    let tasks = [("quick", 0.02), ("slow", 0.1)];
    let tasks = tasks.map(|(n, d)| task::Builder::new().name(n).spawn(work(n, d)));
    let Done { done, pending } = asyncio::wait(&tasks).timeout(seconds(0.06)).await;
    log!("after the timeout: done", names(&done), "pending", names(&pending));
    log!("cancelling", pending.iter().map(|task| task.cancelling()).collect::<Vec<_>>());
    let Done { done, pending } = asyncio::wait(&tasks).timeout(seconds(5.0)).await;
    log!("in time: done", names(&done), "pending", names(&pending));
    let late = task::Builder::new().name("late").spawn(work("late", 0.04));
    let Done { done, pending } = asyncio::wait(&[&late]).timeout(seconds(0.0)).await;
    log!("timeout zero: done", names(&done), "pending", names(&pending));
    late.await;
}
