//! Timers fire in the order of their deadlines; a cancelled one does not fire; `when` is the deadline.

use std::collections::HashMap;
use std::time::Duration;

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let start = event_loop.time();
    let timer = |d| (d, event_loop.call_later(Duration::from_millis(d), move || log!("timer", d)));
    let handles = HashMap::from([60, 20, 80, 40].map(timer));
    let at = event_loop.call_at(start + seconds(0.1), || log!("timer at 100"));
    let later = handles[&20].when() > Some(start);
    log!("when", at.when() == Some(start + seconds(0.1)), "later than now", later);
    handles[&60].cancel();
    log!("cancelled", handles[&60].cancelled(), handles[&40].cancelled());
    asyncio::sleep(seconds(0.03)).await;
    handles[&20].cancel();
    log!("cancelling a timer that fired is harmless");
    asyncio::sleep(seconds(0.1)).await;
    log!("not early", event_loop.time() >= start + seconds(0.1));
}
