//! `abort` breaks the barrier for all until `reset`; `reset` throws the waiting ones out.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{Barrier, BrokenBarrierError};

use crate::trace::{OnOneThread, Show, seconds};

impl Show for BrokenBarrierError {
    fn show(&self) -> String {
        "BrokenBarrierError".into()
    }
}

async fn party(label: &'static str, barrier: Arc<Barrier>) -> Vec<String> {
    match barrier.wait().await {
        Ok(index) => vec![label.show(), "index".show(), OnOneThread(index).show()],
        Err(error) => vec![label.show(), error.show()],
    }
}

pub(crate) async fn main() {
    let barrier = Arc::new(Barrier::new(3));
    let first = ["a", "b"].map(|x| asyncio::create_task(party(x, barrier.clone())));
    asyncio::sleep(seconds(0.02)).await;
    barrier.abort().await;
    log!(asyncio::gather(first).await);
    log!("broken", barrier.broken(), "waiting", barrier.n_waiting());
    log!(party("late", barrier.clone()).await);
    barrier.reset().await;
    log!("reset, broken", barrier.broken());
    let second = ["c", "d"].map(|x| asyncio::create_task(party(x, barrier.clone())));
    asyncio::sleep(seconds(0.02)).await;
    log!("waiting", barrier.n_waiting());
    barrier.reset().await;
    log!(asyncio::gather(second).await);
    log!("reset with waiting parties, broken", barrier.broken());
    log!(asyncio::gather(["e", "f", "g"].map(|x| party(x, barrier.clone()))).await);
}
