//! First exception: a cancelled task does not end the wait, a failed one does, one that had failed before ends it at
//! once.

use kumihimo as asyncio;
use kumihimo::{Done, Task, task};

use crate::trace::{ValueError, seconds};

type Work = Task<Result<(), ValueError>>;

/// The tasks of one `wait` are of one type.
async fn sleep(delay: f64) -> Result<(), ValueError> {
    asyncio::sleep(seconds(delay)).await;
    Ok(())
}

async fn fail(delay: f64) -> Result<(), ValueError> {
    asyncio::sleep(seconds(delay)).await;
    Err(ValueError("failed"))
}

fn names(tasks: &[&Work]) -> Vec<String> {
    let mut names: Vec<_> = tasks.iter().map(|task| task.name()).collect();
    names.sort();
    names
}

pub(crate) async fn main() {
    let gone = task::Builder::new().name("gone").spawn(sleep(10.0));
    let quick = task::Builder::new().name("quick").spawn(sleep(0.04));
    let bad = task::Builder::new().name("bad").spawn(fail(0.08));
    let slow = task::Builder::new().name("slow").spawn(sleep(0.2));
    let handle = gone.handle();
    asyncio::get_running_loop().call_later(seconds(0.02), move || _ = handle.cancel());
    let Done { done, pending } = asyncio::wait(&[&gone, &quick, &bad, &slow]).first_exception().await;
    log!("done", names(&done), "pending", names(&pending));
    let Done { done, pending } = asyncio::wait(&[&bad, &slow]).first_exception().await;
    log!("again: done", names(&done), "pending", names(&pending));
    log!("bad", bad.try_result());
    slow.await.unwrap();
    // Only cancelled and successful ones: waits for all of them.
    let gone = task::Builder::new().name("gone").spawn(sleep(10.0));
    let quick = task::Builder::new().name("quick").spawn(sleep(0.04));
    gone.cancel();
    let Done { done, pending } = asyncio::wait(&[&gone, &quick]).first_exception().await;
    log!("done", names(&done), "pending", names(&pending));
}
