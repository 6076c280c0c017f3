//! Results in order of completion; failures and cancellations come at their turn and stop nothing.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn work(label: &'static str, delay: f64) -> Result<&'static str, ValueError> {
    asyncio::sleep(seconds(delay)).await;
    if label == "bad" {
        return Err(ValueError(label));
    }
    Ok(label)
}

pub(crate) async fn main() {
    let tasks = [("slow", 0.2), ("bad", 0.08), ("quick", 0.03), ("gone", 10.0)];
    let tasks = tasks.map(|(n, d)| asyncio::create_task(work(n, d)));
    let gone = tasks[3].handle();
    asyncio::get_running_loop().call_later(seconds(0.14), move || _ = gone.cancel());
    let mut turns = 0;
    let mut as_completed = asyncio::as_completed(&tasks.iter().chain(&tasks[..2]).collect::<Vec<_>>());
    while let Some(next_result) = as_completed.next().await {
        turns += 1;
        match asyncio::catch_cancelled(next_result).await {
            Ok(Ok(result)) => log!(result),
            Ok(Err(error)) => log!("raised", error),
            Err(cancelled) => {
                let me = asyncio::current_task().unwrap();
                log!("raised", cancelled, "my cancelling", me.cancelling());
            }
        }
    }
    log!("turns", turns);
}
