//! Cancelling a task that awaits another cancels the inner one; the outer sees however that ends.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn inner(mode: &'static str) -> Result<&'static str, ValueError> {
    let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await else {
        return Ok("never returned");
    };
    log!("inner", mode, "cancelled");
    match mode {
        "swallows" => Ok("inner value"),
        "fails" => Err(ValueError("inner failed")),
        _ => cancelled.raise().await,
    }
}

async fn outer(mode: &'static str) -> &'static str {
    let task = asyncio::create_task(inner(mode));
    let body = async {
        match asyncio::catch_cancelled(&task).await {
            Ok(Ok(value)) => log!("outer got", value),
            Ok(Err(error)) => log!("outer sees", error),
            Err(cancelled) => log!("outer sees", cancelled),
        }
    };
    asyncio::finally(body, async {
        let me = asyncio::current_task().unwrap();
        log!("outer cancelling", me.cancelling(), "inner cancelling", task.cancelling());
    })
    .await;
    asyncio::sleep(seconds(0.02)).await;
    "outer went on"
}

pub(crate) async fn main() {
    for mode in ["propagates", "swallows", "fails"] {
        let task = asyncio::create_task(outer(mode));
        asyncio::sleep(seconds(0.02)).await;
        task.cancel();
        log!("result", (&task).await, "cancelled", task.cancelled());
    }
}
