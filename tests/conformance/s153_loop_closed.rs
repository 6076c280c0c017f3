//! A closed loop refuses everything; closing twice is fine; a running loop cannot be closed.

use kumihimo as asyncio;

use crate::trace::{caught, seconds};

async fn work() {
    log!("never printed");
}

fn attempt<T>(label: &str, f: impl FnOnce() -> T) {
    match caught(f) {
        Ok(_) => log!(label, "fine"),
        Err(error) => log!(label, error),
    }
}

async fn tries_to_close() {
    attempt("close while running", || asyncio::get_running_loop().close());
}

pub(crate) fn main(builder: asyncio::Builder) {
    let event_loop = builder.build_event_loop().unwrap();
    event_loop.run_until_complete(tries_to_close());
    let later = event_loop.time() + seconds(1.0);
    event_loop.call_soon(|| log!("never printed: dropped by close()"));
    event_loop.close();
    attempt("close again", || event_loop.close());
    attempt("run_forever", || event_loop.run_forever());
    attempt("run_until_complete", || event_loop.run_until_complete(work()));
    attempt("create_task", || event_loop.create_task(work()));
    attempt("call_soon", || event_loop.call_soon(|| log!("x")));
    attempt("call_later", || event_loop.call_later(seconds(1.0), || log!("x")));
    attempt("call_at", || event_loop.call_at(later, || log!("x")));
    attempt("call_soon_threadsafe", || event_loop.call_soon_threadsafe(|| log!("x")));
    attempt("run_in_executor", || event_loop.run_in_executor(None, || log!("x")));
    log!("closed", event_loop.is_closed(), "running", event_loop.is_running());
}
