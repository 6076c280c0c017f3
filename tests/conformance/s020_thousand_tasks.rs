//! Two thousand tasks wait at once; all complete, results in order.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn one(i: usize) -> usize {
    asyncio::sleep(seconds(0.04)).await;
    i
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let start = event_loop.time();
    let values = asyncio::gather((0..2000).map(one).collect::<Vec<_>>()).await;
    let in_order = values.iter().copied().eq(0..2000);
    log!("in order", in_order, "sum", values.iter().sum::<usize>());
    log!("concurrent", event_loop.time() - start < seconds(20.0));
}
