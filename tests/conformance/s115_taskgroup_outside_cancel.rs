//! Cancelling the parent: children are cancelled and waited for; a child's failure turns it into a group and the
//! cancellation stays due.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn child(label: &'static str, cleanup: f64, fails: bool) -> Result<(), ValueError> {
    let result = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await;
    asyncio::sleep(seconds(cleanup)).await;
    log!(label, "ends");
    match result {
        // An error out of a `finally` takes the cancellation's place.
        _ if fails => Err(ValueError(label)),
        Ok(()) => Ok(()),
        Err(cancelled) => cancelled.raise().await,
    }
}

async fn parent(fails: bool) {
    let me = asyncio::current_task().unwrap();
    let group = asyncio::task_group(async |tg| {
        tg.create_task(child("child", 0.06, fails));
        Ok(())
    });
    match asyncio::catch_cancelled(group).await {
        Ok(Ok(())) => {}
        Ok(Err(group)) => {
            log!("group", group, "cancelling", me.cancelling());
            let body = async {
                asyncio::sleep(seconds(0.02)).await;
                log!("never printed");
            };
            asyncio::finally(body, async { log!("the next await raises") }).await;
        }
        Err(cancelled) => {
            log!("CancelledError, cancelling", me.cancelling());
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    for fails in [false, true] {
        let task = asyncio::create_task(parent(fails));
        asyncio::sleep(seconds(0.02)).await;
        task.cancel();
        asyncio::sleep(seconds(0.02)).await;
        log!("cancel again; still waiting for the child", task.cancel());
        asyncio::wait(&[&task]).await;
        log!("parent cancelled", task.cancelled());
    }
}
