//! Who arrives while a round is leaving waits for the next one; a cancelled waiter leaves without breaking the barrier.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::Barrier;

use crate::trace::{caught, seconds};

async fn party(label: &'static str, delay: f64, barrier: Arc<Barrier>) {
    asyncio::sleep(seconds(delay)).await;
    log!(label, "goes on as number", barrier.wait().await.unwrap());
}

pub(crate) async fn main() {
    let barrier = Arc::new(Barrier::new(3));
    let parties = [("a", 0.02), ("b", 0.04), ("c", 0.1), ("d", 0.12)];
    let tasks = parties.map(|(label, delay)| asyncio::create_task(party(label, delay, barrier.clone())));
    asyncio::sleep(seconds(0.06)).await;
    log!("main goes on as number", barrier.wait().await.unwrap());
    log!("main goes on as number", barrier.wait().await.unwrap());
    asyncio::wait(&tasks).await;

    let barrier = Arc::new(Barrier::new(2));
    let x = asyncio::create_task(party("x", 0.02, barrier.clone()));
    asyncio::sleep(seconds(0.04)).await;
    log!("waiting", barrier.n_waiting());
    x.cancel();
    asyncio::wait(&[&x]).await;
    log!("x cancelled", x.cancelled(), "waiting", barrier.n_waiting(), "broken", barrier.broken());
    let y = asyncio::create_task(party("y", 0.02, barrier.clone()));
    asyncio::sleep(seconds(0.04)).await;
    log!("waiting", barrier.n_waiting());
    log!("main goes on as number", barrier.wait().await.unwrap());
    y.await;
    if caught(|| Barrier::new(0)).is_err() {
        log!("nobody can meet nobody");
    }
}
