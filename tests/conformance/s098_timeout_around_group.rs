//! A time-out around a group ends its children and gives `TimeoutError`; a child that fails meanwhile wins.

use std::convert::Infallible;

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn child(label: &'static str, fails: bool) -> Result<(), ValueError> {
    let result = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await;
    log!(label, "ends");
    match result {
        // An error out of a `finally` takes the cancellation's place.
        _ if fails => Err(ValueError(label)),
        Ok(()) => Ok(()),
        Err(cancelled) => cancelled.raise().await,
    }
}

async fn limited() -> Result<(), Infallible> {
    if asyncio::timeout(seconds(0.04), async |_| asyncio::sleep(seconds(10.0)).await).await.is_err() {
        log!("timeout inside a child stays inside");
    }
    Ok(())
}

async fn sleep(delay: f64) -> Result<(), Infallible> {
    asyncio::sleep(seconds(delay)).await;
    Ok(())
}

pub(crate) async fn main() {
    for fails in [false, true] {
        let mut t = None;
        let block = asyncio::timeout(seconds(0.04), async |timeout| {
            t = Some(timeout);
            let group = asyncio::task_group(async |tg| {
                tg.create_task(child("child", fails));
                Ok(())
            });
            group.await
        });
        match block.await {
            Ok(Ok(())) => {}
            Ok(Err(group)) => log!("group", group),
            Err(error) => log!(error),
        }
        let me = asyncio::current_task().unwrap();
        log!("expired", t.unwrap().expired(), "cancelling", me.cancelling());
        match asyncio::catch_cancelled(asyncio::sleep(seconds(0.02))).await {
            Ok(()) => log!("goes on"),
            Err(_) => log!("cancelled afterwards"),
        }
    }
    let group = asyncio::task_group(async |tg| {
        tg.create_task(limited());
        tg.create_task(sleep(0.08));
        Ok(())
    });
    group.await.unwrap();
    log!("group over");
}
