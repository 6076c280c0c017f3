//! The three modes of `wait` on the same kind of tasks.

use kumihimo as asyncio;
use kumihimo::{AllCompleted, Done, FirstCompleted, Task, task};

use crate::trace::{ValueError, seconds};

type Work = Task<Result<&'static str, ValueError>>;

async fn work(label: &'static str, delay: f64) -> Result<&'static str, ValueError> {
    asyncio::sleep(seconds(delay)).await;
    if label == "fail" {
        return Err(ValueError(label));
    }
    Ok(label)
}

fn start() -> [Work; 3] {
    let tasks = [("quick", 0.04), ("fail", 0.08), ("slow", 0.12)];
    tasks.map(|(n, d)| task::Builder::new().name(n).spawn(work(n, d)))
}

fn names(tasks: &[&Work]) -> Vec<String> {
    let mut names: Vec<_> = tasks.iter().map(|task| task.name()).collect();
    names.sort();
    names
}

async fn wait<'a>(tasks: Vec<&'a Work>, mode: &str) -> Done<&'a Work> {
    let wait = asyncio::wait(&tasks);
    match mode {
        "FIRST_COMPLETED" => wait.return_when(FirstCompleted).await,
        "FIRST_EXCEPTION" => wait.first_exception().await,
        _ => wait.return_when(AllCompleted).await,
    }
}

pub(crate) async fn main() {
    for mode in ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"] {
        let tasks = start();
        let Done { done, mut pending } = wait(tasks.iter().collect(), mode).await;
        log!(mode, "done", names(&done), "pending", names(&pending));
        while !pending.is_empty() {
            let more = wait(pending, mode).await;
            pending = more.pending;
            log!("  then", names(&more.done), "pending", names(&pending));
        }
        let [_, fail, _] = tasks;
        log!("  exception of fail", fail.try_result());
    }
}
