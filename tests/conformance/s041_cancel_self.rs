//! A task that cancels itself runs to its next suspension; without one it ends cancelled and loses its value.

use kumihimo as asyncio;
use kumihimo::Task;

use crate::trace::{ValueError, raise};

async fn then_awaits() -> &'static str {
    asyncio::current_task().unwrap().cancel();
    log!("runs on");
    let future = asyncio::get_running_loop().create_future::<()>();
    match asyncio::catch_cancelled(&future).await {
        Ok(()) => "never returned",
        Err(_) => {
            log!("next await raises, future cancelled", future.cancelled());
            "caught it"
        }
    }
}

async fn then_returns() -> &'static str {
    asyncio::current_task().unwrap().cancel();
    "lost value"
}

/// A panic: an `Err` is a value, and would be lost too.
async fn then_raises() -> &'static str {
    asyncio::current_task().unwrap().cancel();
    raise(ValueError("kept"))
}

async fn show(name: &str, task: Task<&'static str>) {
    asyncio::wait(&[&task]).await;
    if task.cancelled() {
        log!(name, "cancelled");
    } else {
        let result = task.try_result();
        log!(name, "exception", result.as_ref().err(), "value", result.as_ref().ok());
    }
}

pub(crate) async fn main() {
    show("then_awaits", asyncio::create_task(then_awaits())).await;
    show("then_returns", asyncio::create_task(then_returns())).await;
    show("then_raises", asyncio::create_task(then_raises())).await;
}
