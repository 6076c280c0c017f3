//! After the time-out every remaining turn is a `TimeoutError`; the tasks themselves go on.

use kumihimo as asyncio;
use kumihimo::Task;

use crate::trace::seconds;

async fn work(label: &'static str, delay: f64) -> &'static str {
    asyncio::sleep(seconds(delay)).await;
    label
}

fn start<const N: usize>(tasks: [(&'static str, f64); N]) -> [Task<&'static str>; N] {
    tasks.map(|(n, d)| asyncio::create_task(work(n, d)))
}

pub(crate) async fn main() {
    let tasks = start([("a", 0.03), ("b", 0.2), ("c", 0.25)]);
    let mut as_completed = asyncio::as_completed(&tasks).timeout(seconds(0.1));
    while let Some(next_result) = as_completed.next().await {
        match next_result {
            Ok(task) => log!(task.await),
            Err(error) => log!(error),
        }
    }
    log!("cancelling", tasks.each_ref().map(|task| task.cancelling()));
    log!(asyncio::gather(tasks).await);
    let tasks = start([("a", 0.03), ("b", 0.2)]);
    let mut as_completed = asyncio::as_completed(&tasks).timeout(seconds(0.1));
    while let Some(next) = as_completed.next().await {
        match next {
            Ok(task) => log!("got", task.try_result()),
            Err(error) => {
                // Python's iteration ends with the first.
                log!("the iteration raised", error);
                break;
            }
        }
    }
    let [_, b] = tasks;
    log!(b.await);
}
