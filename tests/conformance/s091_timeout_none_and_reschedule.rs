//! `timeout(None, ..)`, `timeout_at`, and moving the deadline later, earlier and away.

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let block = asyncio::timeout(None, async |t| {
        log!("no deadline", t.when().map(|_| "a deadline"));
        asyncio::sleep(seconds(0.02)).await;
        t
    });
    log!("none: expired", block.await.unwrap().expired());

    let block = asyncio::timeout(seconds(0.04), async |t| {
        t.reschedule(event_loop.time() + seconds(10.0));
        asyncio::sleep(seconds(0.08)).await;
        t
    });
    log!("later: expired", block.await.unwrap().expired());

    let mut t = None;
    let block = asyncio::timeout(seconds(10.0), async |timeout| {
        t.insert(timeout).reschedule(event_loop.time() + seconds(0.04));
        asyncio::sleep(seconds(5.0)).await;
    });
    if block.await.is_err() {
        log!("earlier: expired", t.unwrap().expired());
    }

    let block = asyncio::timeout(seconds(0.04), async |t| {
        t.reschedule(None);
        asyncio::sleep(seconds(0.08)).await;
        t
    });
    let t = block.await.unwrap();
    log!("away: expired", t.expired(), t.when().map(|_| "a deadline"));

    let mut t = None;
    let block = asyncio::timeout(None, async |timeout| {
        t.insert(timeout).reschedule(event_loop.time() - seconds(1.0));
        asyncio::sleep(seconds(5.0)).await;
    });
    if block.await.is_err() {
        log!("into the past: expired", t.unwrap().expired());
    }

    let when = event_loop.time() + seconds(0.04);
    let mut t = None;
    let block = asyncio::timeout_at(when, async |timeout| {
        log!("same deadline", t.insert(timeout).when() == Some(when));
        asyncio::sleep(seconds(5.0)).await;
    });
    if block.await.is_err() {
        log!("timeout_at: expired", t.unwrap().expired(), "deadline passed", event_loop.time() >= when);
    }
}
