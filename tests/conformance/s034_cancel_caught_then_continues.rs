//! A task that catches its cancellation may go on awaiting and return a value; it is then not cancelled.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work() -> &'static str {
    if asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await.is_err() {
        log!("caught, cancelling", asyncio::current_task().unwrap().cancelling());
    }
    asyncio::sleep(seconds(0.02)).await;
    log!("awaited normally after the cancellation");
    "value all the same"
}

pub(crate) async fn main() {
    let task = asyncio::create_task(work());
    asyncio::sleep(seconds(0.02)).await;
    task.cancel();
    log!("result", (&task).await);
    log!("cancelled", task.cancelled(), "cancelling", task.cancelling());
}
