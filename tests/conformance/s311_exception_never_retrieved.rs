//! A failed task or future that is dropped unseen is reported; one whose error somebody looked at is not.

use kumihimo as asyncio;
use kumihimo::Task;

use crate::trace::{LookupError, ValueError};

async fn fails(text: &'static str) -> Result<(), ValueError> {
    Err(ValueError(text))
}

/// A task whose `Err` is reported like an exception.
fn create_task(text: &'static str) -> Task<Result<(), ValueError>> {
    asyncio::create_task(fails(text)).report_err()
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    event_loop.set_exception_handler(|_, context| log!("reported", context.exception()));
    let unseen = create_task("unseen");
    let seen = create_task("seen");
    let awaited = create_task("awaited");
    let waited = create_task("only waited for");
    asyncio::wait(&[&unseen, &seen, &waited]).await;
    log!("looked at", seen.try_result());
    if let Err(error) = (&awaited).await {
        log!("awaited", error);
    }
    log!("dropping", "unseen");
    drop(unseen);
    log!("dropping", "seen");
    drop(seen);
    log!("dropping", "awaited");
    drop(awaited);
    log!("dropping", "waited");
    drop(waited);
    let fut = event_loop.create_future::<Result<(), LookupError>>().report_err();
    fut.set_exception(LookupError("future")).unwrap();
    log!("dropping future");
    drop(fut);
}
