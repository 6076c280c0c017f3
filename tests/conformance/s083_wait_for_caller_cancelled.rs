//! Cancelling the caller of `wait_for` cancels the inner task and waits for it; `shield` keeps the inner task alive.

use kumihimo as asyncio;
use kumihimo::SharedTask;

use crate::trace::seconds;

async fn work(label: &'static str) -> &'static str {
    let body = async {
        asyncio::sleep(seconds(0.3)).await;
        log!(label, "ends");
        label
    };
    match asyncio::catch_cancelled(body).await {
        Ok(label) => label,
        Err(cancelled) => {
            asyncio::sleep(seconds(0.04)).await;
            log!(label, "cleaned up");
            cancelled.raise().await
        }
    }
}

async fn caller(awaitable: impl Future<Output = &'static str>) {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::wait_for(awaitable, seconds(10.0))).await {
        log!("caller sees CancelledError");
        cancelled.raise().await
    }
}

async fn cancel_caller(
    task: SharedTask<&'static str>,
    awaitable: impl Future<Output = &'static str> + Send + 'static,
) {
    let c = asyncio::create_task(caller(awaitable));
    asyncio::sleep(seconds(0.02)).await;
    c.cancel();
    asyncio::wait(&[&c]).await;
    log!("caller cancelled", c.cancelled(), "task done", task.done());
}

pub(crate) async fn main() {
    let plain = asyncio::create_task(work("plain")).shared();
    let kept = asyncio::create_task(work("kept")).shared();
    cancel_caller(plain.clone(), plain).await;
    cancel_caller(kept.clone(), asyncio::shield(kept.clone())).await;
    log!(kept.await);
    let again = asyncio::create_task(work("again"));
    if asyncio::wait_for(asyncio::shield(&again), seconds(0.04)).await.is_err() {
        log!("timed out, task goes on", !again.done());
    }
    log!(again.await);
}
