//! A future is completed once: value, error or cancellation; everything later is `InvalidStateError`.

use kumihimo as asyncio;
use kumihimo::{Promise, ResultError};

use crate::trace::{Show, ValueError, seconds};

type Future = Promise<Result<&'static str, ValueError>>;

fn ask(label: &str, result: Result<impl Show, impl Show>) {
    match result {
        Ok(value) => log!(" ", label, "->", value),
        Err(error) => log!(" ", label, "raised", error),
    }
}

/// `try_result` is asyncio's `result()` and `exception()` in one.
fn ask_result(fut: &Future) {
    let result = fut.try_result();
    match &result {
        Ok(Err(error)) => ask("result", Err::<(), _>(error)),
        result => ask("result", result.as_ref()),
    }
    ask("exception", result.map(Result::err));
}

fn show(fut: &Future) {
    log!(" ", "done", fut.done(), "cancelled", fut.cancelled());
    ask_result(fut);
    ask("set_result", fut.set_result(Ok("1")));
    ask("set_exception", fut.set_exception(ValueError("late")));
    ask("cancel", Ok::<_, ResultError>(fut.cancel()));
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let fut: Future = event_loop.create_future();
    log!("pending");
    log!(" ", "done", fut.done(), "cancelled", fut.cancelled());
    ask_result(&fut);
    log!("with value");
    fut.set_result(Ok("value")).unwrap();
    show(&fut);
    log!("with exception");
    let fut: Future = event_loop.create_future();
    fut.set_exception(ValueError("failed")).unwrap();
    show(&fut);
    log!("cancelled");
    let fut: Future = event_loop.create_future();
    ask("cancel", Ok::<_, ResultError>(fut.cancel_with("reason")));
    show(&fut);
    let fut: Future = event_loop.create_future();
    let later = fut.clone();
    event_loop.call_later(seconds(0.02), move || _ = later.cancel_with("reason"));
    if let Err(cancelled) = asyncio::catch_cancelled(fut).await {
        log!("await raised", cancelled, "my cancelling", asyncio::current_task().unwrap().cancelling());
    }
}
