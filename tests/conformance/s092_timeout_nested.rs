//! Nested time-outs: inner deadline first, then outer deadline first.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn attempt(outer_delay: f64, inner_delay: f64) {
    log!("outer", outer_delay, "inner", inner_delay);
    let (mut outer, mut inner) = (None, None);
    let block = asyncio::timeout(seconds(outer_delay), async |timeout| {
        outer = Some(timeout);
        let block = asyncio::timeout(seconds(inner_delay), async |timeout| {
            inner = Some(timeout);
            asyncio::sleep(seconds(10.0)).await;
        });
        match asyncio::catch_cancelled(block).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => log!("  inner block raised TimeoutError"),
            Err(cancelled) => {
                log!("  inner block let CancelledError through");
                cancelled.raise().await
            }
        }
        asyncio::sleep(seconds(0.02)).await;
        log!("  outer body goes on");
    });
    if let Err(error) = block.await {
        log!("  outer block raised", error);
    }
    let (outer, inner) = (outer.unwrap().expired(), inner.unwrap().expired());
    let me = asyncio::current_task().unwrap();
    log!("  expired: outer", outer, "inner", inner, "cancelling", me.cancelling());
}

pub(crate) async fn main() {
    attempt(0.2, 0.04).await;
    attempt(0.04, 0.2).await;
}
