//! `notify` wakes the longest waiting ones in order, each with the lock held; `notify_all` wakes the rest.

use std::sync::Arc;

use futures_util::FutureExt;
use kumihimo as asyncio;
use kumihimo::Condition;

use crate::trace::{OnOneThread, caught, seconds};

async fn waiter(label: &'static str, cond: Arc<Condition>) {
    let mut guard = cond.acquire().await;
    cond.wait(&mut guard).await;
    log!(label, "woke, holds the lock", cond.locked());
    asyncio::sleep(seconds(0.02)).await;
    log!(label, "leaves");
}

pub(crate) async fn main() {
    let cond = Arc::new(Condition::new());
    let notify: fn(&Condition) = |cond| cond.notify(1);
    for f in [notify, Condition::notify_all] {
        if let Err(error) = caught(|| f(&cond)) {
            log!("without the lock", error);
        }
    }
    // Who waits shows a guard. One that holds nothing is left by a wait that was dropped after it had released the lock.
    let mut guard = cond.acquire().await;
    assert!(cond.wait(&mut guard).now_or_never().is_none());
    if let Err(error) = caught(|| drop(cond.wait(&mut guard))) {
        log!("wait without the lock", error);
    }
    {
        let _guard = cond.acquire().await;
        cond.notify(1);
        log!("nobody waits: lost");
    }
    let tasks = ["a", "b", "c", "d"].map(|x| asyncio::create_task(waiter(x, cond.clone())));
    asyncio::sleep(seconds(0.02)).await;
    {
        let _guard = cond.acquire().await;
        cond.notify(2);
        log!("notified 2, still holding");
        asyncio::sleep(seconds(0.02)).await;
    }
    asyncio::sleep(seconds(0.2)).await;
    log!("done", OnOneThread(tasks.each_ref().map(|t| t.done())));
    {
        let _guard = cond.acquire().await;
        cond.notify_all();
    }
    asyncio::wait(&tasks).await;
}
