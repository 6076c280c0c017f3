//! `cancel` is a request: nothing happens at once, the await raises, clean-up runs, the task ends cancelled.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work() {
    log!("work starts");
    let body = async {
        let sleep = async {
            asyncio::sleep(seconds(10.0)).await;
            log!("never printed");
        };
        if let Err(cancelled) = asyncio::catch_cancelled(sleep).await {
            log!("work sees", cancelled);
            cancelled.raise().await
        }
    };
    asyncio::finally(body, async { log!("work finally") }).await
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work());
    asyncio::sleep(seconds(0.02)).await;
    log!("cancel", task.cancel());
    log!("still done", task.done(), "cancelled", task.cancelled());
    if asyncio::catch_cancelled(&task).await.is_err() {
        log!("await raised; done", task.done(), "cancelled", task.cancelled());
    }
    log!("cancel again", task.cancel());
}
