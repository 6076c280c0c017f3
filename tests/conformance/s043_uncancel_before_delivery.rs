//! `uncancel` to zero drops a request that is not yet on its way, but calls none back that is.

use kumihimo as asyncio;

use crate::trace::{OnOneThread, seconds};

async fn work(label: &str) -> String {
    match asyncio::catch_cancelled(asyncio::sleep(seconds(0.04))).await {
        Ok(()) => format!("{label} finished"),
        Err(cancelled) => {
            let me = asyncio::current_task().unwrap();
            // On another worker it may look before `uncancel`, which comes after it was woken.
            log!(label, "got CancelledError, cancelling", OnOneThread(me.cancelling()));
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    let early = asyncio::create_task(work("not started"));
    early.cancel();
    log!("uncancel", early.uncancel());
    log!(early.await);
    let late = asyncio::create_task(work("suspended"));
    asyncio::sleep(seconds(0.02)).await;
    late.cancel();
    log!("uncancel", late.uncancel());
    asyncio::wait(&[&late]).await;
    log!("cancelled", late.cancelled());
}
