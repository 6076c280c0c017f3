//! A cancelled gather with `outcomes` waits for all children and raises although each of them swallowed it.

use kumihimo as asyncio;

use crate::trace::seconds;

async fn child(label: &'static str, cleanup: f64) -> &'static str {
    if asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await.is_err() {
        asyncio::sleep(seconds(cleanup)).await;
        log!(label, "swallows");
    }
    label
}

pub(crate) async fn main() {
    let tasks = [
        asyncio::create_task(child("slow", 0.08)).shared(),
        asyncio::create_task(child("fast", 0.04)).shared(),
    ];
    let children = tasks.clone();
    let p = asyncio::create_task(async move {
        match asyncio::catch_cancelled(asyncio::gather(children.clone()).outcomes()).await {
            Ok(values) => log!("never printed", values),
            Err(cancelled) => {
                log!("parent: CancelledError, children done", children.map(|task| task.done()));
                cancelled.raise().await
            }
        }
    });
    asyncio::sleep(seconds(0.02)).await;
    p.cancel();
    asyncio::wait(&[&p]).await;
    let [slow, fast] = tasks;
    log!("parent cancelled", p.cancelled(), "children", [slow.await, fast.await]);
}
