//! Passes from the end (or cancellation) of the inner future to the awaiter of the shield.

use kumihimo as asyncio;
use kumihimo::Promise;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn awaiter(fut: Promise<&'static str>) {
    match asyncio::catch_cancelled(asyncio::shield(fut)).await {
        Ok(value) => log!("awaiter got", value),
        Err(_) => log!("awaiter sees CancelledError"),
    }
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    for action in ["finish inner", "cancel inner", "cancel awaiter"] {
        let fut = event_loop.create_future();
        let task = asyncio::create_task(awaiter(fut.clone()));
        asyncio::yield_now().await;
        log!(action);
        match action {
            "finish inner" => fut.set_result("value").unwrap(),
            "cancel inner" => _ = fut.cancel(),
            _ => _ = task.cancel(),
        }
        passes(4).await;
    }
}
