//! Requests to cancel a task, asyncio's counters, and the await link.

use std::task::Waker;

use kumihimo_context::{CancelMessage, WaitWord};

use super::handle::TaskHandle;
use super::header::{Header, Link, TaskRef};
use super::promise;
use super::state::Request;
use super::waker;
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
    let before = from.map_or(0, passed);
    if before >= MAX_PASSED {
        Passed::Round
    } else if request(to, message, before + 1) {
        Passed::On
    } else {
        Passed::Ended
    }
}

/// Passes the request that came during a task's step on along its link, on which it has been suspended just now.
#[cold]
pub(crate) fn pass_on_pending(task: TaskRef) {
    let header = task.header();
    let message = header.extras().requests.lock().message.clone();
    let passed_on = match header.link() {
        Some(Link::Task(inner)) => pass_on(Some(header), inner, message) != Passed::Round,
        Some(Link::Object(target)) => {
            let before = passed(header);
            // SAFETY: the task owns its link until it runs again.
            let inner = unsafe { &*target }.request(&message);
            let some = !inner.is_empty() && before < MAX_PASSED;
            inner
                .iter()
                .filter(|_| some)
                .for_each(|inner| _ = request(inner.task(), message.clone(), before + 1));
            some
        }
        None => false,
    };
    // Of two tasks that await each other, one has to take it; and so has who awaits only what has ended.
    if !passed_on && header.state.request() == Request::Schedule {
        schedule(task);
    }
}

/// How often the latest request to this task was passed on before.
fn passed(header: &Header) -> u32 {
    header.try_extras().map_or(0, |extras| extras.requests.lock().passed)
}

fn request(task: TaskRef, message: CancelMessage, passed: u32) -> bool {
    let mut round = Round { message, passed, next: Vec::new() };
    let recorded = round.request(task);
    while let Some(task) = round.next.pop() {
        round.request(task.task());
    }
    recorded
}

/// A request on its way along links.
struct Round {
    message: CancelMessage,
    /// How often it was passed on.
    passed: u32,
    /// Who gets it next, last first.
    next: Vec<TaskHandle>,
}

impl Round {
    /// Gives the request to one task; false if that has ended.
    fn request(&mut self, task: TaskRef) -> bool {
        let header = task.header();
        if header.is_promise() {
            return promise::cancel(task, self.message.clone());
        }
        match self.pass_on(header) {
            Way::Past => return true,
            Way::AtTheEnd if header.state.request_with_wake_up() => {
                let mut requests = header.extras().requests.lock();
                requests.count += 1;
                requests.message = self.message.clone();
                return true;
            }
            Way::AtTheEnd | Way::No => {}
        }
        let mut requests = header.extras().requests.lock();
        let request = header.state.request();
        match request {
            Request::Complete => return false,
            Request::Already => requests.count += 1,
            Request::Pending | Request::Schedule => {
                requests.count += 1;
                requests.message = self.message.clone();
                requests.passed = self.passed;
                // One that a task makes to itself it knows of.
                requests.unheard += usize::from(!is_current(task));
            }
        }
        drop(requests);
        if request == Request::Schedule {
            note_in_queue(header);
            schedule(task);
        }
        true
    }

    /// Lets the request go past a task that is suspended on a link.
    fn pass_on(&mut self, header: &Header) -> Way {
        if self.passed >= MAX_PASSED {
            return Way::No;
        }
        let mut inner = match linked(header) {
            Some(Link::Task(inner)) => vec![TaskHandle::new(inner)],
            // SAFETY: the task owns its link until it runs again.
            Some(Link::Object(target)) => unsafe { &*target }.request(&self.message),
            None => return Way::No,
        };
        if inner.is_empty() {
            return Way::AtTheEnd;
        }
        if !header.state.pass_on() {
            return Way::No;
        }
        self.passed += 1;
        if let [promise] = &*inner
            && promise.task().header().is_promise()
        {
            if !promise::cancel(promise.task(), self.message.clone()) {
                // Another thread has just settled it, and wakes the task.
                header.state.take_back();
                return Way::AtTheEnd;
            }
            inner.clear();
        }
        let mut requests = header.extras().requests.lock();
        requests.count += 1;
        // For the case that the request comes back.
        requests.message = self.message.clone();
        drop(requests);
        inner.reverse();
        self.next.append(&mut inner);
        Way::Past
    }
}

/// Where a request goes that comes to a suspended task.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Past it, to what it awaits.
    Past,
    /// What it awaits has ended but for telling so, and can't be cancelled any more.
    AtTheEnd,
    /// To the task itself.
    No,
}

/// What became of a request to a part of a task.
#[derive(Clone, Copy, Debug)]
pub enum Inside {
    /// What the part awaits has it.
    PassedOn,
    /// The part is to be polled, with a delivery, if the request is [still due](TaskHandle::is_due) then.
    Due(Due),
    /// As `Due`, but what the part awaits is about to have it polled, and it is not to be polled before.
    DueAtTheEnd(Due),
}

/// A request to a part of a task, which that part's next poll delivers.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The task was between two steps, so the request can be taken back: as long as the count has not been at zero, it was not.
    withdrawable: Option<u32>,
}

impl Due {
    /// Whether the request came to the suspended task: its message counts, whatever comes later.
    pub fn is_on_its_way(self) -> bool {
        self.withdrawable.is_none()
    }
}

/// Requests the cancellation of a part of a task: of the inside of a time-out or a group, which awaits `inside`.
///
/// It counts as a request to the task. Where the whole task is suspended on exactly what the part awaits, it goes there at once.
pub(crate) fn cancel_inside(task: TaskRef, inside: WaitWord, message: CancelMessage) -> Inside {
    let header = task.header();
    let mut at_the_end = false;
    if header.wait() == inside {
        let mut round = Round { message: message.clone(), passed: 0, next: Vec::new() };
        match round.pass_on(header) {
            Way::Past => {
                header.extras().requests.lock().of_parts += 1;
                while let Some(task) = round.next.pop() {
                    round.request(task.task());
                }
                return Inside::PassedOn;
            }
            Way::AtTheEnd => at_the_end = true,
            Way::No => {}
        }
    }
    let mut requests = header.extras().requests.lock();
    requests.count += 1;
    requests.of_parts += 1;
    if at_the_end {
        return Inside::DueAtTheEnd(Due { withdrawable: Some(requests.zeroed) });
    }
    let suspended = header.state.is_suspended();
    if suspended && header.wait() == inside {
        note_in_queue(header);
    }
    if !suspended && !header.state.is_committed() {
        // Between two steps the latest message counts, also of a request to the whole task.
        requests.message = message;
    }
    Inside::Due(Due { withdrawable: (!suspended).then_some(requests.zeroed) })
}

/// A request has come to a suspended task: if it stands in the queue of a lock or the like, that passes over it from now on,
/// where things happen in one order.
pub(crate) fn note_in_queue(header: &Header) {
    let wait = header.wait();
    if wait.is_queued() && runs_here_with_links(header.runtime) {
        header.set_wait(wait.cancelled());
    }
}

/// Whether the task that this waker wakes is suspended on this word, the place in a queue, and was cancelled there.
pub(crate) fn is_cancelled_in_queue(waker: &Waker, place: WaitWord) -> bool {
    waker::task_of(waker).is_some_and(|task| {
        let header = task.header();
        header.wait() == place.cancelled() && runs_here_with_links(header.runtime)
    })
}

/// Whether a request to a part of the task was not taken back before it could be delivered.
pub(crate) fn is_due(task: TaskRef, due: Due) -> bool {
    let zeroed = task.header().try_extras().map_or(0, |extras| extras.requests.lock().zeroed);
    due.withdrawable.is_none_or(|before| before == zeroed)
}

/// Takes one request back; gives the number that remain.
pub(crate) fn uncancel(task: TaskRef) -> usize {
    let Some(extras) = task.header().try_extras() else { return 0 };
    let mut requests = extras.requests.lock();
    requests.count = requests.count.saturating_sub(1);
    if requests.count == 0 {
        requests.unheard = 0;
        task.header().state.withdraw();
        requests.zeroed = requests.zeroed.wrapping_add(1);
    }
    requests.count
}

/// Of the requests from outside, those that the task has not heard of: they come later than what it begins now.
pub(crate) fn unheard(task: TaskRef) -> usize {
    task.header().try_extras().map_or(0, |extras| extras.requests.lock().unheard)
}

fn is_current(task: TaskRef) -> bool {
    std::ptr::eq(kumihimo_context::current_task(), task.as_ptr().cast())
}

/// Takes the request of a part of the task back.
pub(crate) fn uncancel_inside(task: TaskRef) {
    if let Some(extras) = task.header().try_extras() {
        let mut requests = extras.requests.lock();
        requests.of_parts = requests.of_parts.saturating_sub(1);
    }
    uncancel(task);
}

/// How many requests were made and not taken back, without those of parts of the task. Somebody may take back more than
/// were made from outside.
pub(crate) fn requests_from_outside(task: TaskRef) -> isize {
    task.header().try_extras().map_or(0, |extras| {
        let requests = extras.requests.lock();
        requests.count as isize - requests.of_parts as isize
    })
}

/// How many requests were made and not taken back.
pub(crate) fn cancelling(task: TaskRef) -> usize {
    task.header().try_extras().map_or(0, |extras| extras.requests.lock().count)
}

/// What a task awaits, if requests go there at once: in its own loop's thread, on the flavour with one.
fn linked(header: &Header) -> Option<Link> {
    if !runs_here_with_links(header.runtime) || !header.state.is_suspended() {
        return None;
    }
    // The word was written by this thread when the task was suspended, and keeps what it names alive. What was awaited may
    // have been given to somebody else since: then nothing that happens to it concerns this task.
    let this = TaskRef::new(header.into());
    header.link().filter(|link| match *link {
        Link::Task(target) => target.header().waiters.include(this),
        // SAFETY: the task owns its link until it runs again.
        Link::Object(target) => unsafe { &*target }.wakes(this),
    })
}
