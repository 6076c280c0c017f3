//! Event: all waiters resume in the pass after `set`. Condition: notified waiters take the lock one after another.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{Condition, Event};

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn event_waiter(label: &'static str, event: Arc<Event>) {
    event.wait().await;
    log!(label, "woke");
    event.wait().await;
    log!(label, "did not give way for a set event");
}

async fn cond_waiter(label: &'static str, cond: Arc<Condition>) {
    let mut guard = cond.acquire().await;
    cond.wait(&mut guard).await;
    log!(label, "notified");
}

pub(crate) async fn main() {
    let event = Arc::new(Event::new());
    for label in ["a", "b"] {
        drop(asyncio::create_task(event_waiter(label, event.clone())));
    }
    asyncio::yield_now().await;
    event.set();
    log!("set");
    passes(2).await;
    let cond = Arc::new(Condition::new());
    for label in ["c", "d", "e"] {
        drop(asyncio::create_task(cond_waiter(label, cond.clone())));
    }
    for _ in 0..5 {
        asyncio::yield_now().await;
    }
    {
        let _guard = cond.acquire().await;
        cond.notify_all();
        log!("notify_all, lock still held");
        passes(2).await;
    }
    log!("released");
    passes(5).await;
}
