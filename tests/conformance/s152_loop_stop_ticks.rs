//! `stop` lets the pass finish; what that pass scheduled waits for the next run; `stop` before running gives one pass.

use kumihimo as asyncio;

pub(crate) fn main(builder: asyncio::Builder) {
    let event_loop = builder.build_event_loop().unwrap();

    let stopper = {
        let event_loop = event_loop.clone();
        move || {
            log!("stop called");
            event_loop.stop();
            event_loop.call_soon(|| log!("scheduled while stopping"));
        }
    };
    event_loop.call_soon(stopper);
    event_loop.call_soon(|| log!("same pass, still runs"));
    event_loop.run_forever();
    log!("first run over");
    event_loop.stop();
    event_loop.call_soon(|| log!("ready before the pre-stopped run"));
    event_loop.run_forever();
    log!("second run over");
    event_loop.stop();
    event_loop.run_forever();
    log!("empty run over");
    event_loop.close();
}
