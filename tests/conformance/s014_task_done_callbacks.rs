//! Done callbacks: FIFO, never called at once, removable; a failing one is reported and harms nobody.

use kumihimo as asyncio;
use kumihimo::TaskHandle;

use crate::trace::{ValueError, raise, seconds};

async fn work() -> &'static str {
    asyncio::sleep(seconds(0.02)).await;
    log!("work returns");
    "value"
}

fn failing(_: &TaskHandle) {
    log!("failing callback");
    raise(ValueError("callback broke"))
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    event_loop.set_exception_handler(|_, context| log!("handler got", context.exception()));
    let task = asyncio::create_task(work()).shared();
    let cb = |label: &'static str| {
        let task = task.clone();
        move |_: &TaskHandle| log!("callback", label, "sees", task.try_result())
    };
    task.add_done_callback(cb("one"));
    // Callbacks are removed one by one.
    let twice = task.add_done_callback(cb("removed"));
    task.add_done_callback(failing);
    let twice = [twice, task.add_done_callback(cb("removed"))];
    task.add_done_callback(cb("two"));
    let remove = || twice.iter().filter(|callback| task.remove_done_callback(**callback)).count();
    log!("removed", remove());
    log!("removed again", remove());
    asyncio::sleep(seconds(0.06)).await;
    log!("task value", task.try_result());
    task.add_done_callback(cb("late"));
    log!("late callback was not called synchronously");
    asyncio::sleep(seconds(0.02)).await;
}
