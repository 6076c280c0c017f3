//! A second request during an awaiting clean-up cuts that clean-up short.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work() {
    let cleanup = async {
        log!("cleanup starts");
        let body = async {
            asyncio::sleep(seconds(0.1)).await;
            log!("never printed");
        };
        asyncio::finally(body, async {
            log!("cleanup of the cleanup, cancelling", asyncio::current_task().unwrap().cancelling());
        })
        .await
    };
    asyncio::finally(asyncio::sleep(seconds(10.0)), cleanup).await
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work());
    asyncio::sleep(seconds(0.02)).await;
    task.cancel_with("first");
    asyncio::sleep(seconds(0.02)).await;
    log!("done yet", task.done());
    task.cancel_with("second");
    if let Err(cancelled) = asyncio::catch_cancelled(task).await {
        log!("main sees", cancelled);
    }
}
