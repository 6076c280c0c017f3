//! `cancelling` counts the requests, `uncancel` takes them back one by one and stops at zero.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work() -> &'static str {
    let me = asyncio::current_task().unwrap();
    let mut seen = 0;
    while seen < 3 {
        if asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await.is_err() {
            seen += 1;
            log!("caught", seen, "cancelling", me.cancelling());
        }
    }
    log!("uncancel", [me.uncancel(), me.uncancel(), me.uncancel(), me.uncancel()]);
    asyncio::sleep(seconds(0.02)).await;
    "done"
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work());
    log!("fresh", task.cancelling());
    for _ in 0..3 {
        asyncio::sleep(seconds(0.02)).await;
        log!("cancel", task.cancel(), "cancelling", task.cancelling());
    }
    log!((&task).await, "cancelling", task.cancelling());
}
