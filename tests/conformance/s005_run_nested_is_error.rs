//! `run`, `Runner::run` and `run_until_complete` inside of a running loop panic and do not start the coroutine.

use kumihimo as asyncio;

use crate::trace::{caught, seconds};

async fn inner() {
    log!("never printed");
}

fn attempt(label: &str, start: impl FnOnce()) {
    if let Err(error) = caught(start) {
        log!(label, error);
    }
}

async fn program(builder: asyncio::Builder) {
    let event_loop = asyncio::get_running_loop();
    let other = builder.clone().build_event_loop().unwrap();
    let runner = builder.build().unwrap();
    attempt("run", || asyncio::run(inner()));
    attempt("Runner.run", || runner.run(inner()).unwrap());
    attempt("this loop", || event_loop.run_until_complete(inner()));
    attempt("other loop", || other.run_until_complete(inner()));
    runner.close();
    other.close();
    asyncio::sleep(seconds(0.02)).await;
    log!("main goes on");
}

pub(crate) fn main(builder: asyncio::Builder) {
    crate::run(builder.clone(), program(builder));
}
