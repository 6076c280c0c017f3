//! Requests to cancel a task, asyncio's counters, and the await link.

use kumihimo_context::CancelMessage;

use super::header::{Header, TaskRef};
use super::state::Request;
use crate::scheduler::{runs_here_with_links, schedule};

/// How often one request is passed on. More than any chain of awaits is long: one that is not through by then goes round
/// in tasks that await each other.
const MAX_PASSED: u32 = 1_000_000;

/// What became of passing a request on.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Passed {
    /// The task has it.
    On,
    /// The task has ended.
    Ended,
    /// It has gone round for long enough: who has it keeps it.
    Round,
}

/// Requests the cancellation of a task; false if it has ended.
///
/// Where requests follow await links, the innermost task that is awaited gets it, at once, and those between only count.
pub(crate) fn cancel(task: TaskRef, message: CancelMessage) -> bool {
    request(task, message, 0)
}

/// Passes a request that `from` has been given on to a task that it awaits.
#[cold]
pub(crate) fn pass_on(from: Option<&Header>, to: TaskRef, message: CancelMessage) -> Passed {
    let before = from.and_then(Header::try_extras).map_or(0, |extras| extras.requests.lock().passed);
    if before >= MAX_PASSED {
        Passed::Round
    } else if request(to, message, before + 1) {
        Passed::On
    } else {
        Passed::Ended
    }
}

fn request(task: TaskRef, message: CancelMessage, passed: u32) -> bool {
    let (mut task, mut passed) = (task, passed);
    loop {
        let header = task.header();
        let mut requests = header.extras().requests.lock();
        if passed < MAX_PASSED
            && let Some(inner) = linked(header)
            && header.state.pass_on()
        {
            requests.count += 1;
            // For the case that the request comes back.
            requests.message = message.clone();
            drop(requests);
            task = inner;
            passed += 1;
            continue;
        }
        let request = header.state.request();
        match request {
            Request::Complete => return false,
            Request::Already => requests.count += 1,
            Request::Pending | Request::Schedule => {
                requests.count += 1;
                requests.message = message;
                requests.passed = passed;
            }
        }
        drop(requests);
        if request == Request::Schedule {
            schedule(task);
        }
        return true;
    }
}

/// Takes one request back; gives the number that remain.
pub(crate) fn uncancel(task: TaskRef) -> usize {
    let Some(extras) = task.header().try_extras() else { return 0 };
    let mut requests = extras.requests.lock();
    requests.count = requests.count.saturating_sub(1);
    if requests.count == 0 {
        task.header().state.withdraw();
    }
    requests.count
}

/// How many requests were made and not taken back.
pub(crate) fn cancelling(task: TaskRef) -> usize {
    task.header().try_extras().map_or(0, |extras| extras.requests.lock().count)
}

/// The task that this one awaits, if requests go there at once: in its own loop's thread, on the flavour with one.
fn linked(header: &Header) -> Option<TaskRef> {
    if !runs_here_with_links(header.runtime) || !header.state.is_suspended() {
        return None;
    }
    // The word was written by this thread when the task was suspended, and keeps what it names alive. What was awaited may
    // have been given to somebody else since: then nothing that happens to it concerns this task.
    header.link().filter(|target| target.header().waiters.include(TaskRef::new(header.into())))
}
