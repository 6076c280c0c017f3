//! `run` gives what main returns, a value or an error, and uses a new loop each time.

use std::cell::RefCell;

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

type Loops = RefCell<Vec<asyncio::EventLoop>>;

async fn good(loops: &Loops) -> Result<&'static str, ValueError> {
    loops.borrow_mut().push(asyncio::get_running_loop());
    asyncio::sleep(seconds(0.02)).await;
    Ok("value")
}

async fn bad(loops: &Loops) -> Result<&'static str, ValueError> {
    loops.borrow_mut().push(asyncio::get_running_loop());
    asyncio::sleep(seconds(0.02)).await;
    Err(ValueError("boom"))
}

pub(crate) fn main(builder: asyncio::Builder) {
    let loops = Loops::default();
    log!("result", crate::run(builder.clone(), good(&loops)));
    if let Err(error) = crate::run(builder, bad(&loops)) {
        log!("raised", error);
    }
    let loops = loops.into_inner();
    log!("same loop", loops[0] == loops[1]);
    for event_loop in loops {
        log!("closed", event_loop.is_closed(), "running", event_loop.is_running());
    }
    if asyncio::try_get_running_loop().is_none() {
        log!("no running loop outside");
    }
}
