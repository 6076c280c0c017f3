//! `run_until_complete` several times on one loop; other tasks keep their state in between; a future may be completed
//! while the loop rests.

use kumihimo as asyncio;
use kumihimo::Promise;

use crate::trace::{ValueError, seconds};

async fn background() -> &'static str {
    for i in 0..3 {
        asyncio::sleep(seconds(0.2)).await;
        log!("background", i);
    }
    "background value"
}

async fn value(v: &'static str) -> &'static str {
    asyncio::sleep(seconds(0.3)).await;
    v
}

async fn fails() -> Result<(), ValueError> {
    Err(ValueError("failed"))
}

async fn waits(fut: Promise<&'static str>) -> String {
    format!("waited for {}", fut.await)
}

pub(crate) fn main(builder: asyncio::Builder) {
    let event_loop = builder.build_event_loop().unwrap();
    let bg = event_loop.create_task(background());
    log!("running", event_loop.is_running());
    log!(event_loop.run_until_complete(value("one")));
    if let Err(error) = event_loop.run_until_complete(fails()) {
        log!("raised", error);
    }
    let fut = event_loop.create_future();
    let waiter = event_loop.create_task(waits(fut.clone()));
    fut.set_result("hand-made value").unwrap();
    log!(event_loop.run_until_complete(waiter));
    log!(event_loop.run_until_complete(bg));
    log!("closed", event_loop.is_closed());
    event_loop.close();
    log!("closed", event_loop.is_closed());
}
