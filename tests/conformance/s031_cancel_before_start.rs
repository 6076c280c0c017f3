//! A task that is cancelled before its first step runs none of its body.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work() {
    log!("never printed");
    asyncio::finally(asyncio::sleep(seconds(10.0)), async { log!("never printed either") }).await;
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work());
    log!("cancel", task.cancel_with("too early"));
    log!("done", task.done());
    if let Err(cancelled) = asyncio::catch_cancelled(&task).await {
        log!("await raised", cancelled);
    }
    log!("cancelled", task.cancelled());
}
