//! Both deadlines pass while the loop is blocked: both count, the inner block passes the cancellation on, only the
//! outer converts it.

use std::thread;

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let me = asyncio::current_task().unwrap();
    for (outer_delay, inner_delay) in [(0.1, 0.06), (0.06, 0.1)] {
        let (mut outer, mut inner) = (None, None);
        let block = asyncio::timeout(seconds(outer_delay), async |timeout| {
            outer = Some(timeout);
            let block = asyncio::timeout(seconds(inner_delay), async |timeout| {
                inner = Some(timeout);
                asyncio::get_running_loop().call_soon(|| thread::sleep(seconds(0.2)));
                asyncio::sleep(seconds(10.0)).await;
            });
            match asyncio::catch_cancelled(block).await {
                Ok(result) => {
                    log!("inner block raised TimeoutError, cancelling", me.cancelling());
                    result
                }
                Err(cancelled) => {
                    log!("inner block raised CancelledError, cancelling", me.cancelling());
                    cancelled.raise().await
                }
            }
        });
        if block.await.is_err() {
            log!("outer block raised TimeoutError");
        }
        let (outer, inner) = (outer.unwrap().expired(), inner.unwrap().expired());
        log!("expired: outer", outer, "inner", inner, "cancelling", me.cancelling());
        asyncio::sleep(seconds(0.02)).await;
        log!("task goes on");
    }
}
