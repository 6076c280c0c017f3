//! The same task given several times runs once and fills every place; a gather of done ones is done at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work(label: &'static str, runs: Arc<AtomicUsize>) -> &'static str {
    runs.fetch_add(1, Ordering::Relaxed);
    asyncio::sleep(seconds(0.02)).await;
    label
}

pub(crate) async fn main() {
    let runs = Arc::new(AtomicUsize::new(0));
    let a = asyncio::create_task(work("a", runs.clone()));
    let b = asyncio::create_task(work("b", runs.clone()));
    let fut = asyncio::get_running_loop().create_future();
    fut.set_result("future").unwrap();
    let (p, q, r, s, t, u) = asyncio::gather!(&a, &b, &fut, &b, &a, &a).await;
    log!([p, q, r, s, t, u]);
    log!("runs", runs.load(Ordering::Relaxed));
    let again = asyncio::gather!(&fut, &a, &fut);
    log!("all done before: gather done", again.done());
    let (p, q, r) = again.await;
    log!([p, q, r]);
}
