//! How many passes lie between completing a future, its callbacks, and the waiting task's next step.

use kumihimo as asyncio;
use kumihimo::{Promise, TaskHandle};

async fn waiter(fut: Promise<()>) {
    (&fut).await;
    log!("waiter resumed");
    (&fut).await;
    log!("second await of a done future did not give way");
}

fn callback(f: &TaskHandle) {
    log!("callback");
    f.add_done_callback(|_| log!("callback added by a callback"));
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let fut = event_loop.create_future();
    let task = asyncio::create_task(waiter(fut.clone()));
    asyncio::yield_now().await;
    event_loop.call_soon(|| log!("scheduled before completion"));
    fut.add_done_callback(callback);
    fut.set_result(()).unwrap();
    event_loop.call_soon(|| log!("scheduled after completion"));
    task.add_done_callback(|_| log!("task callback"));
    for i in 0..3 {
        log!("main, pass", i);
        asyncio::yield_now().await;
    }
}
