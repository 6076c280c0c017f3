//! A thread submits coroutines to the loop: value, error, time-out and cancellation from outside, cancellation from inside.

use std::sync::{Arc, Mutex};

use kumihimo as asyncio;
use kumihimo::{ConcurrentError, ConcurrentFuture, EventLoop};

use crate::trace::{Show, ValueError, seconds};

type Seen = Arc<Mutex<Vec<&'static str>>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ok,
    Fail,
    Cancel,
    Long,
}

async fn work(mode: Mode, seen: Seen) -> Result<&'static str, ValueError> {
    let nap = asyncio::sleep(seconds(if mode == Mode::Long { 10.0 } else { 0.02 }));
    if let Err(cancelled) = asyncio::catch_cancelled(nap).await {
        seen.lock().unwrap().push("task cancelled in the loop");
        cancelled.raise().await
    }
    match mode {
        Mode::Fail => Err(ValueError("from the loop")),
        Mode::Cancel => {
            asyncio::current_task().unwrap().cancel();
            std::future::pending().await
        }
        Mode::Ok | Mode::Long => Ok("value"),
    }
}

fn name(error: ConcurrentError) -> &'static str {
    match error {
        ConcurrentError::Cancelled => "CancelledError",
        ConcurrentError::TimedOut => "TimeoutError",
        _ => "a panic",
    }
}

/// Gives what it would print: only the loop's threads do.
fn thread(event_loop: EventLoop, seen: Seen) -> (Vec<String>, &'static str) {
    let submit = |mode| asyncio::run_coroutine_threadsafe(work(mode, seen.clone()), &event_loop);
    let result = |mut future: ConcurrentFuture<_>| future.result(None);
    let mut lines = vec![result(submit(Mode::Ok)).unwrap().show()];
    if let Err(error) = result(submit(Mode::Fail)).unwrap() {
        lines.push(error.show());
    }
    if let Err(error) = result(submit(Mode::Cancel)) {
        lines.push(name(error).show());
    }
    let mut future = submit(Mode::Long);
    if let Err(error) = future.result(Some(seconds(0.04))) {
        lines.push(name(error).show());
    }
    lines.push(format!("cancel {}", future.cancel()));
    (lines, "thread over")
}

pub(crate) async fn main() {
    let seen = Seen::default();
    let (event_loop, list) = (asyncio::get_running_loop(), seen.clone());
    let (lines, over) = asyncio::to_thread(move || thread(event_loop, list)).await;
    for line in lines {
        log!("thread:", line);
    }
    log!(over);
    asyncio::sleep(seconds(0.04)).await;
    log!(*seen.lock().unwrap());
}
