//! How many passes a cancellation takes: to a sleeping task, through a chain, to a task between steps.

use kumihimo as asyncio;
use kumihimo::Task;

use crate::trace::seconds;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn sleeper(label: &str) {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
        log!(label, "sees CancelledError");
        cancelled.raise().await
    }
}

async fn chain() {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::create_task(sleeper("inner"))).await {
        log!("outer sees CancelledError");
        cancelled.raise().await
    }
}

async fn spinner() {
    let spin = async {
        loop {
            asyncio::yield_now().await;
        }
    };
    if let Err::<(), _>(cancelled) = asyncio::catch_cancelled(spin).await {
        log!("spinner sees CancelledError");
        cancelled.raise().await
    }
}

async fn cancel(task: Task<()>) {
    for _ in 0..4 {
        asyncio::yield_now().await;
    }
    log!("cancel", task.cancel());
    task.add_done_callback(|_| log!("done callback"));
    passes(4).await;
}

pub(crate) async fn main() {
    cancel(asyncio::create_task(sleeper("plain"))).await;
    cancel(asyncio::create_task(chain())).await;
    cancel(asyncio::create_task(spinner())).await;
}
