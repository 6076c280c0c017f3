//! Tasks start in creation order on the next pass; awaiting a done task does not give way.

use kumihimo as asyncio;

async fn child(label: &str) -> &str {
    log!(label, "starts");
    asyncio::yield_now().await;
    log!(label, "second step");
    label
}

pub(crate) async fn main() {
    let a = asyncio::create_task(child("a"));
    let b = asyncio::create_task(child("b"));
    log!("main: both created");
    asyncio::yield_now().await;
    log!("main: after one pass");
    let c = asyncio::create_task(child("c"));
    asyncio::yield_now().await;
    log!("main: after two passes, a done", a.done(), "b done", b.done());
    let other = asyncio::create_task(child("d"));
    log!("main: awaits done", a.await);
    log!("main: d has not started yet");
    asyncio::wait([b, c, other]).await;
    log!("main: end");
}
