//! An uncontended acquire does not give way; a hand-over takes one pass; the releasing task queues again behind the
//! waiters.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Lock;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn waiter(label: &'static str, lock: Arc<Lock>) {
    let guard = lock.acquire().await;
    log!(label, "holds");
    drop(guard);
}

pub(crate) async fn main() {
    let lock = Arc::new(Lock::new());
    asyncio::get_running_loop().call_soon(|| log!("first pass"));
    for _ in 0..3 {
        let _guard = lock.acquire().await;
    }
    log!("three uncontended rounds in one step");
    let guard = lock.acquire().await;
    for label in ["a", "b"] {
        drop(asyncio::create_task(waiter(label, lock.clone())));
    }
    asyncio::yield_now().await;
    log!("release");
    drop(guard);
    drop(asyncio::create_task(waiter("newcomer", lock.clone())));
    passes(4).await;
}
