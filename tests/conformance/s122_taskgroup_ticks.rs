//! Passes inside of a group: start of the children, end of the block, cancellation after a failure.

use std::convert::Infallible;

use kumihimo as asyncio;

use crate::trace::ValueError;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn child(label: &'static str, fail: bool) -> Result<(), ValueError> {
    log!(label, "starts");
    let body = async {
        asyncio::yield_now().await;
        if fail {
            log!(label, "fails");
            return Err(ValueError(label));
        }
        asyncio::yield_now().await;
        log!(label, "ends");
        Ok(())
    };
    match asyncio::catch_cancelled(body).await {
        Ok(result) => result,
        Err(cancelled) => {
            log!(label, "cancelled");
            cancelled.raise().await
        }
    }
}

async fn group(fail: bool) {
    let group = asyncio::task_group(async |tg| {
        tg.create_task(child("a", fail));
        tg.create_task(child("b", false));
        log!("body ends");
        Ok(())
    });
    match group.await {
        Ok(()) => log!("group ended"),
        Err(_) => log!("group raised"),
    }
}

pub(crate) async fn main() {
    for fail in [false, true] {
        drop(asyncio::create_task(group(fail)));
        passes(7).await;
    }
    asyncio::task_group(async |_| Ok::<_, Infallible>(())).await.unwrap();
    log!("an empty group does not give way");
}
