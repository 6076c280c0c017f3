//! `call_soon`: FIFO; what a callback schedules runs in the next pass; a handle may be cancelled by an earlier
//! callback of the same pass.

use std::sync::{Arc, OnceLock};

use kumihimo as asyncio;
use kumihimo::Handle;

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let victim = Arc::new(OnceLock::<Handle>::new());

    let first = {
        let (event_loop, victim) = (event_loop.clone(), victim.clone());
        move || {
            log!("first");
            event_loop.call_soon(|| log!("scheduled by first"));
            victim.get().unwrap().cancel();
        }
    };
    event_loop.call_soon(first);
    event_loop.call_soon(|| log!("second"));
    victim.set(event_loop.call_soon(|| log!("never printed"))).unwrap();
    event_loop.call_soon(|| log!("third"));
    log!("nothing ran yet");
    asyncio::yield_now().await;
    log!("main after one pass; victim cancelled", victim.get().unwrap().cancelled());
    asyncio::yield_now().await;
    log!("main after two passes");
}
