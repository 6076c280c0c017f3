//! A cancelled `wait` that is cancelled again while it re-acquires the lock goes on doing so, and raises the last
//! cancellation.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Condition;

use crate::trace::seconds;

async fn waiter(cond: Arc<Condition>) {
    let mut guard = cond.acquire().await;
    if let Err(cancelled) = asyncio::catch_cancelled(cond.wait(&mut guard)).await {
        let me = asyncio::current_task().unwrap();
        log!(cancelled, "lock held", cond.locked(), "cancelling", me.cancelling());
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    let cond = Arc::new(Condition::new());
    let task = asyncio::create_task(waiter(cond.clone()));
    asyncio::sleep(seconds(0.02)).await;
    {
        let _guard = cond.acquire().await;
        for message in ["first", "second", "third"] {
            task.cancel_with(message);
            asyncio::sleep(seconds(0.02)).await;
            log!(message, "request, done", task.done());
        }
    }
    asyncio::wait(&[&task]).await;
    log!("cancelled", task.cancelled(), "lock free", !cond.locked());

    let notified = asyncio::create_task(waiter(cond.clone()));
    asyncio::sleep(seconds(0.02)).await;
    {
        let _guard = cond.acquire().await;
        cond.notify(1);
        asyncio::sleep(seconds(0.02)).await;
        for message in ["fourth", "fifth"] {
            notified.cancel_with(message);
            asyncio::sleep(seconds(0.02)).await;
            log!(message, "request, done", notified.done());
        }
    }
    asyncio::wait(&[&notified]).await;
    log!("cancelled", notified.cancelled(), "lock free", !cond.locked());
}
