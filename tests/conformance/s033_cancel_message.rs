//! The message of a request reaches the innermost await and whoever waits for the task.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn inner(label: &str) {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
        log!(label, "sees", cancelled, "args", usize::from(cancelled.message().is_some()));
        cancelled.raise().await
    }
}

async fn outer() {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::create_task(inner("inner"))).await {
        log!("outer sees", cancelled);
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    for message in [None, Some("closing down")] {
        let task = asyncio::create_task(outer());
        asyncio::sleep(seconds(0.02)).await;
        match message {
            None => task.cancel(),
            Some(message) => task.cancel_with(message),
        };
        if let Err(cancelled) = asyncio::catch_cancelled(task).await {
            log!("main sees", cancelled);
        }
    }
    let mut group = asyncio::gather!(inner("gathered"));
    asyncio::sleep(seconds(0.02)).await;
    group.cancel_with("group message");
    if asyncio::catch_cancelled(group).await.is_err() {
        log!("gather cancelled");
    }
}
