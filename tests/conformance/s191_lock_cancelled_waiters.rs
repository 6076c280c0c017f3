//! Cancelled waiters leave the queue; one that was cancelled right after being chosen passes the lock on.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Lock;

use crate::trace::seconds;

async fn waiter(label: &'static str, lock: Arc<Lock>) {
    let body = async {
        let _guard = lock.acquire().await;
        log!(label, "holds");
        asyncio::sleep(seconds(0.02)).await;
    };
    if let Err(cancelled) = asyncio::catch_cancelled(body).await {
        log!(label, "cancelled");
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    let lock = Arc::new(Lock::new());
    let guard = lock.acquire().await;
    let [a, b, c] = ["a", "b", "c"].map(|x| asyncio::create_task(waiter(x, lock.clone())));
    asyncio::sleep(seconds(0.02)).await;
    a.cancel();
    asyncio::sleep(seconds(0.02)).await;
    log!("main releases, then cancels b at once");
    drop(guard);
    b.cancel();
    asyncio::wait(&[&a, &b, &c]).await;
    log!("cancelled", a.cancelled(), b.cancelled(), c.cancelled(), "free", !lock.locked());
}
