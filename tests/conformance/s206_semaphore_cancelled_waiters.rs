//! Cancelled waiters are skipped; a permit that was given to a waiter which is then cancelled goes to the next one.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Semaphore;

use crate::trace::seconds;

async fn worker(label: &'static str, sem: Arc<Semaphore>) {
    let body = async {
        let _permit = sem.acquire().await;
        log!(label, "enters");
        asyncio::sleep(seconds(0.02)).await;
    };
    if let Err(cancelled) = asyncio::catch_cancelled(body).await {
        log!(label, "cancelled");
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    let sem = Arc::new(Semaphore::new(1));
    let permit = sem.acquire().await;
    let tasks @ [a, b, _, _] = &["a", "b", "c", "d"].map(|x| asyncio::create_task(worker(x, sem.clone())));
    asyncio::sleep(seconds(0.02)).await;
    b.cancel();
    asyncio::sleep(seconds(0.02)).await;
    log!("release, then cancel a, which was to be next");
    drop(permit);
    a.cancel();
    asyncio::wait(tasks).await;
    log!("locked", sem.locked(), tasks.each_ref().map(|t| t.cancelled()));
}
