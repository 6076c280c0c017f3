//! A task that cancels itself runs to its next suspension; without one it ends cancelled and loses its value.

use std::future::pending;

use kumihimo as asyncio;
use kumihimo::{Task, TaskError};

use crate::trace::wait;

async fn then_awaits() -> &'static str {
    asyncio::current_task().unwrap().cancel();
    log!("runs on");
    let future: Task<()> = asyncio::create_task(pending());
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

/// An `Err` is a value, and would be lost too; a panic is not.
async fn then_raises() -> &'static str {
    asyncio::current_task().unwrap().cancel();
    std::panic::resume_unwind(Box::new("ValueError: kept"))
}

async fn show(name: &str, task: Task<&'static str>) {
    wait(&[task.handle()]).await;
    match task.outcome().await {
        Err(TaskError::Cancelled(_)) => log!(name, "cancelled"),
        Err(TaskError::Panicked(panic)) => log!(name, "exception", panic.message(), "value", ()),
        Ok(value) => log!(name, "exception", (), "value", value),
    }
}

pub(crate) async fn main() {
    show("then_awaits", asyncio::create_task(then_awaits())).await;
    show("then_returns", asyncio::create_task(then_returns())).await;
    show("then_raises", asyncio::create_task(then_raises())).await;
}
