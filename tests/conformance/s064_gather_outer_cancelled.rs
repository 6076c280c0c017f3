//! Cancelling the awaiter cancels all unfinished children; the await raises when the first of them has ended.

use kumihimo as asyncio;
use kumihimo::SharedTask;

use crate::trace::seconds;

async fn child(label: &'static str, cleanup: f64) -> &'static str {
    asyncio::finally(asyncio::sleep_with(seconds(10.0), "never returned"), async {
        asyncio::sleep(seconds(cleanup)).await;
        log!(label, "cleaned up");
    })
    .await
}

fn done(tasks: &[SharedTask<&'static str>]) -> Vec<bool> {
    tasks.iter().map(|task| task.done()).collect()
}

async fn parent(tasks: Vec<SharedTask<&'static str>>) {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::gather(tasks.clone())).await {
        log!("parent: gather raised CancelledError, children done", done(&tasks));
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    let quick_end = asyncio::create_task(asyncio::sleep_with(seconds(0.02), "finished before"));
    let tasks = vec![
        quick_end.shared(),
        asyncio::create_task(child("slow", 0.15)).shared(),
        asyncio::create_task(child("fast", 0.05)).shared(),
    ];
    let p = asyncio::create_task(parent(tasks.clone()));
    asyncio::sleep(seconds(0.08)).await;
    p.cancel();
    asyncio::wait(&[&p]).await;
    log!("parent cancelled", p.cancelled());
    asyncio::wait(&tasks).await;
    log!("states", tasks.iter().map(|task| task.cancelled()).collect::<Vec<_>>());
}
