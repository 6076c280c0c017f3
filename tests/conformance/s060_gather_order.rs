//! `gather` starts its coroutines in argument order and lists the values in that order, whoever ends first.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work(label: &str, delay: f64) -> String {
    log!(label, "starts");
    asyncio::sleep(seconds(delay)).await;
    log!(label, "ends");
    label.to_uppercase()
}

pub(crate) async fn main() {
    log!(asyncio::gather([work("slow", 0.06), work("quick", 0.02), work("middle", 0.04)]).await);
    log!(asyncio::gather(Vec::<asyncio::Task<()>>::new()).await);
    let future = asyncio::gather([work("unawaited", 0.02)]);
    asyncio::sleep(seconds(0.06)).await;
    log!("ran without being awaited", future.done(), future.await);
}
