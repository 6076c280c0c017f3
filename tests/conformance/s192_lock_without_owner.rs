//! A lock has no owner: any task may release it. It is not reentrant: who holds it and asks again waits like others.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{Lock, OwnedLockGuard};

use crate::trace::seconds;

async fn releaser(guard: OwnedLockGuard) {
    asyncio::sleep(seconds(0.06)).await;
    log!("another task releases");
    drop(guard);
}

pub(crate) async fn main() {
    let lock = Arc::new(Lock::new());
    let guard = lock.acquire_owned().await;
    let task = asyncio::create_task(releaser(guard));
    if asyncio::timeout(seconds(0.02), async |_| lock.acquire().await).await.is_err() {
        log!("main holds it and waits for it");
    }
    log!("locked", lock.locked());
    let guard = lock.acquire().await;
    log!("main has it again, locked", lock.locked());
    drop(guard);
    task.await;
    log!("locked", lock.locked());
}
