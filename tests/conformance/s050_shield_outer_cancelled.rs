//! Cancelling the task that awaits a shield: its await raises at once, the shielded task goes on.

use kumihimo as asyncio;
use kumihimo::SharedTask;

use crate::trace::seconds;

async fn precious() -> &'static str {
    log!("precious starts");
    asyncio::sleep(seconds(0.08)).await;
    log!("precious ends");
    "precious value"
}

async fn outer(task: SharedTask<&'static str>) {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::shield(task.clone())).await {
        log!("outer cancelled, precious done", task.done(), "cancelling", task.cancelling());
        cancelled.raise().await
    }
}

pub(crate) async fn main() {
    let task = asyncio::create_task(precious()).shared();
    let caller = asyncio::create_task(outer(task.clone()));
    asyncio::sleep(seconds(0.04)).await;
    caller.cancel();
    asyncio::wait(&[&caller]).await;
    log!("caller cancelled", caller.cancelled(), "precious cancelled", task.cancelled());
    log!("await again", task.clone().await);
    log!("shield of a done task", asyncio::shield(task).await);
}
