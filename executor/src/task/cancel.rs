//! Requests to cancel a task, asyncio's counters, and the await link.

use kumihimo_context::CancelMessage;

use super::header::{Header, TaskRef};
use super::state::Request;
use crate::scheduler::{runs_here_with_links, schedule};

/// Requests the cancellation of a task; false if it has ended.
///
/// Where requests follow await links, the innermost task that is awaited gets it, at once, and those between only count.
pub(crate) fn cancel(task: TaskRef, message: CancelMessage) -> bool {
    let mut task = task;
    let mut walk = Walk::new(task);
    loop {
        let header = task.header();
        let mut requests = header.extras().requests.lock();
        if !walk.closed
            && let Some(inner) = linked(header)
            && header.state.pass_on()
        {
            requests.count += 1;
            drop(requests);
            task = inner;
            walk.step(task);
            continue;
        }
        match header.state.request() {
            Request::Complete => return false,
            Request::Already => requests.count += 1,
            Request::Pending => {
                requests.count += 1;
                requests.message = message;
            }
            Request::Schedule => {
                requests.count += 1;
                requests.message = message;
                drop(requests);
                schedule(task);
            }
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
    // The word was written by this thread when the task was suspended; the forward that wrote it is in the suspended
    // future still, and holds what it awaits.
    header.wait().target().map(|target| TaskRef::from_tagged(target.cast_mut().cast()))
}

/// Notices when a chain of awaits reaches itself (Brent's cycle detection), where a request can only stay.
struct Walk {
    mark: TaskRef,
    steps: u32,
    limit: u32,
    closed: bool,
}

impl Walk {
    fn new(start: TaskRef) -> Walk {
        Walk { mark: start, steps: 0, limit: 1, closed: false }
    }

    fn step(&mut self, task: TaskRef) {
        self.closed = task == self.mark;
        self.steps += 1;
        if self.steps == self.limit {
            (self.mark, self.steps, self.limit) = (task, 0, self.limit * 2);
        }
    }
}
