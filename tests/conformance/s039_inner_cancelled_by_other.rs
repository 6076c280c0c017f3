//! If a third party cancels the inner task, the outer await raises, but the outer task has no request.

use kumihimo as asyncio;
use kumihimo::SharedTask;

use crate::trace::seconds;

async fn outer(label: &str, task: SharedTask<()>) -> &str {
    if let Err(cancelled) = asyncio::catch_cancelled(task).await {
        if asyncio::current_task().unwrap().cancelling() > 0 {
            log!(label, "I was cancelled");
            cancelled.raise().await
        }
        log!(label, "the task I waited for was cancelled");
    }
    "went on"
}

pub(crate) async fn main() {
    for direct in [true, false] {
        let inner = asyncio::create_task(asyncio::sleep(seconds(10.0))).shared();
        let watcher = asyncio::create_task(outer("watcher:", inner.clone()));
        asyncio::sleep(seconds(0.02)).await;
        if direct {
            watcher.cancel()
        } else {
            inner.cancel()
        };
        asyncio::wait(&[&watcher]).await;
        log!("cancelled", watcher.cancelled(), "inner cancelled", inner.cancelled());
    }
    // Nobody called `task.cancel()` here, yet letting the error escape marks the task cancelled.
    let inner = asyncio::create_task(asyncio::sleep(seconds(10.0))).shared();
    let task = asyncio::create_task(inner.clone());
    asyncio::sleep(seconds(0.02)).await;
    inner.cancel();
    asyncio::wait(&[&task]).await;
    log!("cancelled", task.cancelled(), "cancelling", task.cancelling());
}
