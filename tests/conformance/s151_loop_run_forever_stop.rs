//! `run_forever` runs until `stop` and can be resumed; stopping too early makes `run_until_complete` panic.

use kumihimo as asyncio;

use crate::trace::{caught, seconds};

async fn ticker() {
    for i in 0.. {
        asyncio::sleep(seconds(0.12)).await;
        log!("tick", i);
    }
}

pub(crate) fn main(builder: asyncio::Builder) {
    let event_loop = builder.build_event_loop().unwrap();
    let stop = || {
        let event_loop = event_loop.clone();
        move || event_loop.stop()
    };
    let task = event_loop.create_task(ticker()).shared();
    for _ in 0..2 {
        event_loop.call_later(seconds(0.2), stop());
        event_loop.run_forever();
        log!("stopped, running", event_loop.is_running(), "ticker done", task.done());
    }
    let sleeper = event_loop.create_task(asyncio::sleep(seconds(10.0))).shared();
    event_loop.call_later(seconds(0.03), stop());
    if let Err(error) = caught(|| event_loop.run_until_complete(sleeper.clone())) {
        log!("stopped before the future was done:", error, sleeper.done());
    }
    for t in [&task, &sleeper] {
        t.cancel();
    }
    event_loop.run_until_complete(asyncio::wait([task.clone(), sleeper.clone()]));
    log!("cancelled", task.cancelled(), sleeper.cancelled());
    event_loop.close();
}
