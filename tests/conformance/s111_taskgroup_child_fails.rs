//! A failing child cancels the siblings and the body's await; the group raises after the slowest clean-up.

use kumihimo as asyncio;

use crate::trace::{RuntimeError, ValueError, caught, seconds};

async fn sibling(label: &'static str, cleanup: f64) -> Result<(), ValueError> {
    asyncio::finally(asyncio::sleep(seconds(10.0)), async {
        asyncio::sleep(seconds(cleanup)).await;
        log!(label, "cleaned up");
    })
    .await;
    Ok(())
}

async fn bad() -> Result<(), ValueError> {
    asyncio::sleep(seconds(0.04)).await;
    log!("bad fails");
    Err(ValueError("bad"))
}

async fn never() -> Result<(), ValueError> {
    log!("never printed");
    Ok(())
}

pub(crate) async fn main() {
    let me = asyncio::current_task().unwrap();
    let group = asyncio::task_group(async |tg| {
        tg.create_task(sibling("slow", 0.08));
        tg.create_task(sibling("fast", 0.04));
        tg.create_task(bad());
        if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
            log!("body's await is cancelled, cancelling", me.cancelling());
            let refused = match caught(|| tg.create_task(never())) {
                Err(RuntimeError) => true,
                // On workers, where a failure can come at any moment, it is made, and does not begin.
                Ok(task) => task.outcome().await.is_err(),
            };
            if refused {
                log!("no new children:", RuntimeError);
            }
            cancelled.raise().await
        }
        Ok(())
    });
    if let Err(group) = group.await {
        log!("raised", group, "cancelling", me.cancelling());
    }
    asyncio::sleep(seconds(0.02)).await;
    log!("parent goes on");
}
