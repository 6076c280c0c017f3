//! Passes from the end of the last child to the awaiter of the gather; and for a failure and a cancellation.

use kumihimo as asyncio;
use kumihimo::Promise;

use crate::trace::ValueError;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn child(label: &'static str, fut: Promise<()>) -> Result<(), ValueError> {
    match asyncio::catch_cancelled(fut).await {
        Ok(()) => log!(label, "ends"),
        Err(cancelled) => {
            log!(label, "cancelled");
            cancelled.raise().await
        }
    }
    if label == "bad" { Err(ValueError(label)) } else { Ok(()) }
}

async fn awaiter<const N: usize>(coros: [impl Future<Output = Result<(), ValueError>> + Send + 'static; N]) {
    match asyncio::catch_cancelled(asyncio::try_gather(coros)).await {
        Ok(Ok(_)) => log!("awaiter: all done"),
        Ok(Err(_)) => log!("awaiter: ValueError"),
        Err(_) => log!("awaiter: CancelledError"),
    }
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    for action in ["finish", "fail", "cancel"] {
        let (x, y) = (event_loop.create_future(), event_loop.create_future());
        let b = if action == "fail" { "bad" } else { "b" };
        let task = asyncio::create_task(awaiter([child("a", x.clone()), child(b, y.clone())]));
        for _ in 0..3 {
            asyncio::yield_now().await;
        }
        log!(action);
        match action {
            "finish" => {
                x.set_result(()).unwrap();
                y.set_result(()).unwrap();
            }
            "fail" => y.set_result(()).unwrap(),
            _ => _ = task.cancel(),
        }
        passes(4).await;
        x.cancel();
        asyncio::wait([task]).await;
    }
}
