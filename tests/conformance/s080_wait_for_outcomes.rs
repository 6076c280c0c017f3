//! `wait_for`: value, error, time-out, no limit, and an inner task cancelled by somebody else.

use std::future::IntoFuture;
use std::time::Duration;

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn work(delay: f64, fail: bool) -> Result<&'static str, ValueError> {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(delay))).await {
        log!("work cancelled");
        cancelled.raise().await
    }
    if fail { Err(ValueError("failed")) } else { Ok("value") }
}

async fn attempt(
    label: &str,
    awaitable: impl IntoFuture<Output = Result<&'static str, ValueError>>,
    timeout: Option<Duration>,
) {
    match asyncio::catch_cancelled(asyncio::wait_for(awaitable, timeout)).await {
        Ok(Ok(Ok(value))) => log!(label, value),
        Ok(Ok(Err(error))) => log!(label, "raised", error),
        Ok(Err(timeout)) => log!(label, "raised", timeout),
        Err(cancelled) => log!(label, "raised", cancelled),
    }
}

pub(crate) async fn main() {
    attempt("in time:", work(0.02, false), Some(seconds(5.0))).await;
    attempt("fails:", work(0.02, true), Some(seconds(5.0))).await;
    attempt("too late:", work(10.0, false), Some(seconds(0.04))).await;
    attempt("no limit:", work(0.04, false), None).await;
    let task = asyncio::create_task(work(10.0, false));
    let handle = task.handle();
    asyncio::get_running_loop().call_later(seconds(0.04), move || _ = handle.cancel());
    attempt("cancelled by another:", task, Some(seconds(5.0))).await;
    log!("my cancelling", asyncio::current_task().unwrap().cancelling());
}
