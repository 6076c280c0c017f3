//! `set` wakes all waiters in order, also when `clear` follows at once; a cancelled waiter is forgotten.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Event;

use crate::trace::{OnOneThread, seconds};

/// asyncio's gives `True`, always.
async fn wait(event: &Event) -> bool {
    event.wait().await;
    true
}

async fn waiter(label: &'static str, event: Arc<Event>) {
    log!(label, "waits");
    match asyncio::catch_cancelled(wait(&event)).await {
        Ok(woke) => log!(label, "woke", woke, "set", OnOneThread(event.is_set())),
        Err(cancelled) => {
            log!(label, "cancelled");
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    let event = Arc::new(Event::new());
    let tasks = ["a", "b", "c"].map(|x| asyncio::create_task(waiter(x, event.clone())));
    asyncio::sleep(seconds(0.02)).await;
    tasks[1].cancel();
    asyncio::sleep(seconds(0.02)).await;
    event.set();
    event.clear();
    log!("set and cleared");
    asyncio::wait(&tasks).await;
    let late = asyncio::create_task(waiter("late", event.clone()));
    asyncio::sleep(seconds(0.02)).await;
    log!("late waits on", !late.done());
    event.set();
    event.set();
    late.await;
    log!("already set", wait(&event).await);
}
