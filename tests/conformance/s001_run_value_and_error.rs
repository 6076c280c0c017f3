//! `run` gives what main returns, a value or an error, and uses a new loop each time.

use std::sync::Mutex;

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

static LOOPS: Mutex<Vec<asyncio::EventLoop>> = Mutex::new(Vec::new());

async fn good() -> Result<&'static str, ValueError> {
    LOOPS.lock().unwrap().push(asyncio::get_running_loop());
    asyncio::sleep(seconds(0.02)).await;
    Ok("value")
}

async fn bad() -> Result<&'static str, ValueError> {
    LOOPS.lock().unwrap().push(asyncio::get_running_loop());
    asyncio::sleep(seconds(0.02)).await;
    Err(ValueError("boom"))
}

pub(crate) fn main(builder: asyncio::Builder) {
    log!("result", crate::run(builder.clone(), good()));
    if let Err(error) = crate::run(builder, bad()) {
        log!("raised", error);
    }
    let loops = std::mem::take(&mut *LOOPS.lock().unwrap());
    log!("same loop", loops[0] == loops[1]);
    for event_loop in loops {
        log!("closed", event_loop.is_closed(), "running", event_loop.is_running());
    }
    if asyncio::try_get_running_loop().is_none() {
        log!("no running loop outside");
    }
}
