//! A lock is handed over in the order of waiting; the task that releases and asks again goes to the end of the queue.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{Lock, LockGuard};

use crate::trace::seconds;

async fn worker(label: &'static str, lock: Arc<Lock>, rounds: i32) {
    for i in 0..rounds {
        log!(label, "asks");
        let _guard = lock.acquire().await;
        log!(label, "holds", i, "locked", lock.locked());
        asyncio::sleep(seconds(0.02)).await;
    }
}

pub(crate) async fn main() {
    let lock = Arc::new(Lock::new());
    let workers = [("a", 2), ("b", 2), ("c", 1)].map(|(label, rounds)| worker(label, lock.clone(), rounds));
    asyncio::gather(workers).await;
    log!("free", !lock.locked(), "acquire gives", LockGuard::is_held(&lock.acquire().await));
}
