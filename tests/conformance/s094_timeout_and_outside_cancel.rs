//! A cancellation from outside is not turned into `TimeoutError`, not even when the deadline struck as well.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work(cleanup: f64) {
    let me = asyncio::current_task().unwrap();
    let mut t = None;
    let block = asyncio::timeout(seconds(0.06), async |timeout| {
        let t = t.insert(timeout);
        asyncio::finally(asyncio::sleep(seconds(10.0)), async {
            log!("body unwinds, expired", t.expired(), "cancelling", me.cancelling());
            asyncio::sleep(seconds(cleanup)).await;
        })
        .await;
    });
    match asyncio::catch_cancelled(block).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log!(error),
        Err(cancelled) => {
            log!("CancelledError, expired", t.unwrap().expired(), "cancelling", me.cancelling());
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work(0.0));
    asyncio::sleep(seconds(0.02)).await;
    task.cancel();
    asyncio::wait(&[&task]).await;
    log!("outside only: cancelled", task.cancelled());
    let task = asyncio::create_task(work(0.1));
    asyncio::sleep(seconds(0.1)).await;
    task.cancel();
    asyncio::wait(&[&task]).await;
    log!("deadline, then outside: cancelled", task.cancelled());
}
