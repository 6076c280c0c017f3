//! When its time is over `wait_for` waits for the inner task's end; what that returns meanwhile wins over
//! `TimeoutError`.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn work(mode: &'static str) -> Result<&'static str, ValueError> {
    let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await else {
        return Ok("never returned");
    };
    asyncio::sleep(seconds(0.04)).await;
    log!("cleanup over,", mode);
    match mode {
        "swallow" => Ok("late value"),
        "fail" => Err(ValueError("cleanup failed")),
        _ => cancelled.raise().await,
    }
}

pub(crate) async fn main() {
    for mode in ["propagate", "swallow", "fail"] {
        let task = asyncio::create_task(work(mode));
        match asyncio::wait_for(&task, seconds(0.04)).await {
            Ok(Ok(value)) => log!("returned", value),
            Ok(Err(error)) => log!("raised", error),
            Err(timeout) => log!("raised", timeout),
        }
        let me = asyncio::current_task().unwrap();
        log!("task done", task.done(), "cancelled", task.cancelled(), "my cancelling", me.cancelling());
    }
}
