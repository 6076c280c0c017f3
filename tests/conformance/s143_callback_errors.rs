//! A failing callback or timer reaches the exception handler; the loop and later callbacks go on; the handler can be
//! replaced.

use kumihimo as asyncio;
use kumihimo::{EventLoop, ExceptionContext};

use crate::trace::{LookupError, ValueError, raise, seconds};

fn bad(label: &'static str) {
    raise(ValueError(label))
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let this = event_loop.clone();
    let handler = move |event_loop: &EventLoop, context: &ExceptionContext| {
        let has_message = !context.message().is_empty();
        log!("handler", context.exception(), "same loop", *event_loop == this, "has message", has_message);
    };
    log!("handler at first", event_loop.get_exception_handler().map(|_| "set"));
    event_loop.set_exception_handler(handler);
    event_loop.call_soon(|| bad("soon"));
    event_loop.call_soon(|| log!("next callback runs"));
    event_loop.call_later(seconds(0.02), || bad("later"));
    asyncio::sleep(seconds(0.06)).await;
    let own_report = ExceptionContext::new("own report").with_exception(LookupError("mine"));
    event_loop.call_exception_handler(&own_report);
    event_loop.set_exception_handler(|_, context| log!("other handler", context.exception()));
    event_loop.call_soon(|| bad("again"));
    asyncio::sleep(seconds(0.02)).await;
    event_loop.reset_exception_handler();
    log!("handler reset", event_loop.get_exception_handler().map(|_| "set"));
}
