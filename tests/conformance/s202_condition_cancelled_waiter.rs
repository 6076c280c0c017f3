//! A cancelled `wait` re-acquires the lock before the cancellation leaves; a notification that reached a cancelled waiter
//! goes to the next.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Condition;

use crate::trace::seconds;

async fn waiter(label: &'static str, cond: Arc<Condition>) {
    let mut guard = cond.acquire().await;
    match asyncio::catch_cancelled(cond.wait(&mut guard)).await {
        Ok(()) => log!(label, "woke"),
        Err(cancelled) => {
            log!(label, "cancelled, lock held", cond.locked());
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    let cond = Arc::new(Condition::new());
    let a = asyncio::create_task(waiter("a", cond.clone()));
    asyncio::sleep(seconds(0.02)).await;
    {
        let _guard = cond.acquire().await;
        a.cancel();
        asyncio::sleep(seconds(0.04)).await;
        log!("a waits for the lock before it can end", !a.done());
    }
    asyncio::wait(&[&a]).await;
    log!("a cancelled", a.cancelled(), "lock free", !cond.locked());

    let [b, c] = ["b", "c"].map(|x| asyncio::create_task(waiter(x, cond.clone())));
    asyncio::sleep(seconds(0.02)).await;
    {
        let _guard = cond.acquire().await;
        cond.notify(1);
        b.cancel();
    }
    asyncio::sleep(seconds(0.04)).await;
    log!("b cancelled", b.cancelled(), "c done", c.done());
    c.await;
}
