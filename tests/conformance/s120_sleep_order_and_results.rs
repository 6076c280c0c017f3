//! Sleepers wake in the order of their deadlines, also when the loop was blocked past several of them.

use std::thread;

use kumihimo as asyncio;

use crate::trace::seconds;

async fn sleeper(delay: f64, label: &str) {
    log!("woke", asyncio::sleep_with(seconds(delay), label).await);
}

pub(crate) async fn main() {
    let values = [(0.06, "c"), (0.02, "a"), (0.08, "d"), (0.04, "b")];
    asyncio::gather(values.map(|(delay, label)| sleeper(delay, label))).await;
    let tasks = values.map(|(delay, label)| asyncio::create_task(sleeper(delay, label)));
    asyncio::sleep(seconds(0.01)).await;
    thread::sleep(seconds(0.12));
    log!("the loop was blocked");
    asyncio::wait(tasks).await;
    let (zero, now) = (seconds(0.0), kumihimo::Instant::now());
    log!(
        asyncio::sleep_with(zero, "zero").await,
        // The past, where Python takes a negative delay.
        async {
            asyncio::sleep_until(now).await;
            "negative"
        }
        .await,
        asyncio::sleep(seconds(0.02)).await
    );
}
