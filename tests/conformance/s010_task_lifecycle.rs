//! The states of a task: pending, then value, error or cancelled, and what it says in each.

use kumihimo as asyncio;
use kumihimo::{ResultError, Task, TaskError};

use crate::trace::{LookupError, Show, seconds};

async fn work(outcome: &'static str) -> Result<&'static str, LookupError> {
    log!("body starts", outcome);
    asyncio::sleep(seconds(0.04)).await;
    if outcome == "fail" {
        return Err(LookupError("broken"));
    }
    Ok(outcome)
}

/// `try_result` is asyncio's `result()` and `exception()` in one.
fn show(task: &Task<Result<&'static str, LookupError>>) {
    log!("done", task.done(), "cancelled", task.cancelled());
    let (result, exception) = match task.try_result() {
        Ok(Ok(value)) => (format!("returned {value}"), "returned none".into()),
        Ok(Err(error)) => ("raised LookupError".into(), format!("returned {}", error.show())),
        Err(ResultError::NotReady) => ("raised InvalidStateError".into(), "raised InvalidStateError".into()),
        Err(ResultError::Task(TaskError::Cancelled(_))) => {
            ("raised CancelledError".into(), "raised CancelledError".into())
        }
        Err(ResultError::Task(TaskError::Panicked(panic))) => panic.resume(),
    };
    log!("result()", result);
    log!("exception()", exception);
}

pub(crate) async fn main() {
    let coro = work("ok");
    log!("coroutine made, nothing ran");
    let ok = asyncio::create_task(coro);
    log!("task made, nothing ran");
    show(&ok);
    log!("await gives", (&ok).await);
    show(&ok);
    let fail = asyncio::create_task(work("fail"));
    if let Err(error) = (&fail).await {
        log!("await raised", error);
    }
    show(&fail);
    let gone = asyncio::create_task(work("gone"));
    asyncio::sleep(seconds(0.02)).await;
    gone.cancel();
    log!("right after cancel: done", gone.done(), "cancelled", gone.cancelled());
    if let Err(error) = asyncio::catch_cancelled(&gone).await {
        log!("await raised", error);
    }
    show(&gone);
}
