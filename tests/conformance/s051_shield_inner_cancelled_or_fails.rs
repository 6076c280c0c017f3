//! A shield passes on its task's error and its cancellation by others; a coroutine starts at once.

use futures_util::FutureExt;
use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn fails() -> Result<(), ValueError> {
    asyncio::sleep(seconds(0.02)).await;
    Err(ValueError("inner failed"))
}

async fn works() -> &'static str {
    log!("works started");
    asyncio::sleep(seconds(0.02)).await;
    "works value"
}

pub(crate) async fn main() {
    if let Err(error) = asyncio::shield(fails()).await {
        log!("raised", error);
    }
    let inner = asyncio::create_task(asyncio::sleep(seconds(10.0)));
    let handle = inner.handle();
    asyncio::get_running_loop().call_later(seconds(0.02), move || _ = handle.cancel_with("from outside"));
    if asyncio::catch_cancelled(asyncio::shield(&inner)).await.is_err() {
        let me = asyncio::current_task().unwrap();
        log!("inner was cancelled", inner.cancelled(), "my cancelling", me.cancelling());
    }
    let outer = asyncio::shield(works());
    asyncio::sleep(seconds(0.06)).await;
    let result = outer.now_or_never();
    log!("shield future done", result.is_some(), result);
}
