//! Tasks left over when main returns are cancelled, and `run` waits for their clean-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kumihimo as asyncio;

use crate::trace::seconds;

async fn leftover(label: &str, cleanup: f64, log_later: Arc<AtomicUsize>) {
    log!(label, "start");
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
        log_later.fetch_add(1, Ordering::Relaxed);
        asyncio::sleep(seconds(cleanup)).await;
        log!(label, "cleaned up");
        cancelled.raise().await
    }
}

pub(crate) fn main(builder: asyncio::Builder) {
    let log_later = Arc::new(AtomicUsize::new(0));
    let mut keep = Vec::new();
    let returned = crate::run(builder, async {
        keep.push(asyncio::create_task(leftover("slow", 0.08, log_later.clone())));
        keep.push(asyncio::create_task(leftover("fast", 0.04, log_later.clone())));
        asyncio::sleep(seconds(0.02)).await;
        log!("main returns");
        42
    });
    log!("run returned", returned);
    log!("cancelled", log_later.load(Ordering::Relaxed));
    log!("states", keep.iter().map(|task| task.cancelled()).collect::<Vec<_>>());
}
