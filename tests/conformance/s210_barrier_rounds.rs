//! Three parties meet twice; the indices are the order of arrival; the state is visible.

use std::sync::{Arc, Mutex};

use kumihimo as asyncio;
use kumihimo::Barrier;

use crate::trace::seconds;

type Met = Arc<Mutex<Vec<(i32, &'static str, usize)>>>;

async fn party(label: &'static str, delay: f64, barrier: Arc<Barrier>, met: Met) {
    for round in 0..2 {
        asyncio::sleep(seconds(delay)).await;
        log!(label, "arrives, waiting before", barrier.n_waiting());
        let index = barrier.wait().await.unwrap();
        met.lock().unwrap().push((round, label, index));
    }
}

pub(crate) async fn main() {
    let barrier = Arc::new(Barrier::new(3));
    let met = Met::default();
    let parties = [("a", 0.15), ("b", 0.05), ("c", 0.1)];
    asyncio::gather(parties.map(|(label, delay)| party(label, delay, barrier.clone(), met.clone()))).await;
    met.lock().unwrap().sort_unstable();
    log!(*met.lock().unwrap());
    log!("parties", barrier.parties(), "waiting", barrier.n_waiting(), "broken", barrier.broken());
}
