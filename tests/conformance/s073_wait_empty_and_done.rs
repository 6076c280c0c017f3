//! `wait` for nothing is an error, for done tasks it returns them, and counts duplicates once.

use kumihimo as asyncio;
use kumihimo::{AllCompleted, Done, FirstCompleted, Task};

use crate::trace::{ValueError, caught, seconds};

async fn ok() -> Result<&'static str, ValueError> {
    Ok(asyncio::sleep_with(seconds(0.0), "ok").await)
}

async fn fail() -> Result<&'static str, ValueError> {
    Err(ValueError("failed"))
}

pub(crate) async fn main() {
    // It panics.
    if caught(|| asyncio::wait(Vec::<Task<()>>::new())).is_err() {
        log!("empty", "ValueError");
    }
    let ok = asyncio::create_task(ok());
    let bad = asyncio::create_task(fail());
    asyncio::sleep(seconds(0.02)).await;
    for mode in ["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"] {
        let tasks = [&ok, &bad, &ok];
        let Done { done, pending } = match mode {
            "FIRST_COMPLETED" => asyncio::wait(&tasks).return_when(FirstCompleted).await,
            "FIRST_EXCEPTION" => asyncio::wait(&tasks).first_exception().await,
            _ => asyncio::wait(&tasks).return_when(AllCompleted).await,
        };
        log!(mode, "done", done.len(), "pending", pending.len());
    }
    log!(ok.try_result(), bad.try_result());
}
