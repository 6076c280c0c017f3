//! A swallowed cancellation without `uncancel`: time-outs still work, but a failing group cancels the task again
//! afterwards.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn fail() -> Result<(), ValueError> {
    Err(ValueError("child"))
}

async fn work(clean: bool) -> usize {
    let me = asyncio::current_task().unwrap();
    if asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await.is_err() && clean {
        me.uncancel();
    }
    log!("swallowed, cancelling", me.cancelling());
    if asyncio::timeout(seconds(0.02), async |_| asyncio::sleep(seconds(10.0)).await).await.is_err() {
        log!("timeout works, cancelling", me.cancelling());
    }
    let group = asyncio::task_group(async |tg| {
        tg.create_task(fail());
        Ok(())
    });
    if let Err(group) = group.await {
        log!("group raised", group, "cancelling", me.cancelling());
    }
    match asyncio::catch_cancelled(asyncio::sleep(seconds(0.02))).await {
        Ok(()) => log!("next await is fine"),
        Err(cancelled) => log!("next await raised", cancelled),
    }
    me.cancelling()
}

pub(crate) async fn main() {
    for clean in [true, false] {
        let task = asyncio::create_task(work(clean));
        asyncio::sleep(seconds(0.02)).await;
        task.cancel();
        log!("ends with cancelling", task.await);
    }
}
