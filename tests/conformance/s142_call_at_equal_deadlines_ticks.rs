//! Equal deadlines fire FIFO; overdue timers fire in the next pass, by deadline, after callbacks that were ready.

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let when = event_loop.time() + seconds(0.02);
    let fut = event_loop.create_future();
    event_loop.call_at(when, || log!("equal a"));
    event_loop.call_at(when, || log!("equal b"));
    let set = fut.clone();
    event_loop.call_at(when, move || set.set_result("equal c").unwrap());
    log!(fut.await);
    let now = event_loop.time();
    event_loop.call_at(now - seconds(1.0), || log!("overdue by 1"));
    // `call_later` takes no negative delay.
    event_loop.call_at(now - seconds(3.0), || log!("overdue by 3"));
    event_loop.call_at(now - seconds(2.0), || log!("overdue by 2"));
    event_loop.call_soon(|| log!("ready"));
    asyncio::yield_now().await;
    log!("main after one pass");
}
