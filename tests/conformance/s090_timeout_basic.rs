//! A time-out block: the body sees the cancellation, the block gives `TimeoutError`; in time it disarms.

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let me = asyncio::current_task().unwrap();
    let mut t = None;
    let block = asyncio::timeout(seconds(0.04), async |timeout| {
        let t = t.insert(timeout);
        log!("expired", t.expired(), "has deadline", t.when().is_some());
        if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
            log!("body sees", cancelled, "expired", t.expired(), "cancelling", me.cancelling());
            cancelled.raise().await
        }
    });
    if let Err(error) = block.await {
        log!("block raised", error, "expired", t.unwrap().expired(), "cancelling", me.cancelling());
    }
    let block = asyncio::timeout(seconds(0.04), async |t| {
        asyncio::sleep(seconds(0.02)).await;
        t
    });
    let t = block.await.unwrap();
    log!("in time, expired", t.expired());
    asyncio::sleep(seconds(0.06)).await;
    log!("the disarmed deadline passed, expired", t.expired());
}
