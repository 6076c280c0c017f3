//! One step of a task, from the queue to what comes of it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use kumihimo_context::{self as context, CancelMessage, PollGuard};

use super::cancel;
use super::failure::{Failure, Panicked};
use super::handle::TaskHandle;
use super::header::{Header, Payload, TaskRef};
use super::state::{Complete, Ended, Start, Step, Suspend};
use super::waker;
use crate::clock;
use crate::exceptions::{Debt, Unretrieved};
use crate::model::trace;
use crate::scheduler::{Flavor, Shared};

/// A poll longer than this makes its task *heavy*: before the reactor next has it polled, somebody else takes the
/// poller. About the time in which an idle worker is woken and gets there.
const HEAVY: Duration = Duration::from_micros(50);

/// What the worker does after a step.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum After {
    /// Nothing. The task may be gone.
    Nothing,
    /// Put the task at the end of a queue.
    Schedule,
}

/// How a flavour runs tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Operations per poll.
    pub(crate) budget: u32,
    /// Requests travel along await links, at once.
    pub(crate) links: bool,
}

/// Runs the step that `start` describes.
#[inline]
pub(crate) fn step(task: TaskRef, start: Start, manner: Manner) -> After {
    let header = task.header();
    if manner.links {
        header.drop_link();
    }
    // SAFETY: a task that is running is alive, until its last transition, before which the guard is dropped.
    let guard = unsafe { context::enter(task.as_ptr().cast(), manner.budget) };
    match start.step {
        Step::Poll => {}
        Step::Deliver | Step::DeliverLate => deliver(header, &guard, start.step == Step::DeliverLate),
        Step::DropUnpolled => {
            let message = request_message(header);
            return end_cancelled(task, guard, message);
        }
    }
    if start.passed_on {
        guard.passed_on();
    }
    let began = start.io_woken.then(clock::now);
    let waker = waker::borrowed(task);
    // SAFETY: the task is running, and on this worker alone; the future has not completed.
    let polled = unsafe { (header.vtable.poll)(task.pointer(), &mut Context::from_waker(&waker)) };
    match polled {
        Poll::Pending => {
            let ending = guard.ending();
            if ending.cancelled {
                let message = guard.message();
                return end_cancelled(task, guard, message);
            }
            drop(guard);
            if let Some(began) = began {
                let heavy = began.elapsed() > HEAVY;
                if heavy != start.heavy {
                    header.state.set_heavy(heavy);
                }
            }
            suspend(task, ending, manner)
        }
        Poll::Ready(Ok(())) if guard.undelivered() => {
            drop(guard);
            lose_value(task);
            fail(task, Failure::Cancelled(request_message(header)))
        }
        Poll::Ready(Ok(())) => {
            drop(guard);
            end(task, Ended::Value)
        }
        Poll::Ready(Err(payload)) => end_panicked(task, guard, payload),
    }
}

/// Drops an unfinished task's future at the end of its loop. The caller has seized the task.
pub(crate) fn abandon(task: TaskRef) {
    let header = task.header();
    // SAFETY: the task has not ended, so its runtime is alive.
    if unsafe { &*header.runtime }.flavor == Flavor::CurrentThread {
        header.drop_link();
    }
    // SAFETY: as in `step`; a seized task counts as running.
    let guard = unsafe { context::enter(task.as_ptr().cast(), context::UNLIMITED) };
    let _: After = end_cancelled(task, guard, None);
}

#[inline]
fn suspend(task: TaskRef, ending: context::Ending, manner: Manner) -> After {
    let header = task.header();
    trace::suspended(header, ending.wait);
    let linked = if manner.links {
        header.set_link(ending.wait)
    } else {
        header.set_wait(ending.wait);
        false
    };
    // From the transition on, another worker may run, complete and free the task: it is not touched any more, save where
    // the transition says that it is still ours to schedule.
    match header.state.suspend(ending.rearmed, ending.again, linked) {
        Suspend::Idle => After::Nothing,
        Suspend::Schedule => {
            if manner.links && header.state.is_committed() {
                // What it awaits is cancelled as soon as it awaits it.
                cancel::note_in_queue(header);
            }
            After::Schedule
        }
        Suspend::PassOn => {
            cancel::pass_on_pending(task);
            After::Nothing
        }
    }
}

#[cold]
fn deliver(header: &Header, guard: &PollGuard, late: bool) {
    header.extras().requests.lock().unheard = 0;
    guard.deliver(request_message(header), late);
}

#[cold]
fn request_message(header: &Header) -> CancelMessage {
    // It stays, for a delivery that is given back.
    header.extras().requests.lock().message.clone()
}

/// The future returned a value, but a cancellation came first: the value is lost (CPython does the same).
#[cold]
fn lose_value(task: TaskRef) {
    // SAFETY: the future stored its output, which nobody else has seen.
    unsafe { (task.header().vtable.drop_output)(task.pointer()) };
}

#[cold]
fn end_cancelled(task: TaskRef, guard: PollGuard, message: CancelMessage) -> After {
    // Destructors run as part of the task, and forwards in there owe nothing any more.
    // SAFETY: the task is running (or seized), its future is there and is not used again.
    let dropped = context::discard(|| unsafe { (task.header().vtable.drop_future)(task.pointer()) });
    match dropped {
        Ok(()) => {
            drop(guard);
            fail(task, Failure::Cancelled(message))
        }
        Err(payload) => end_panicked(task, guard, payload),
    }
}

#[cold]
fn end_panicked(task: TaskRef, guard: PollGuard, payload: Payload) -> After {
    drop(guard);
    if task.header().is_quiet() {
        return fail(task, Failure::Panicked(Panicked::new(payload, None)));
    }
    let unretrieved = Arc::<Unretrieved>::default();
    *task.header().extras().panicked.lock() = Some(unretrieved.clone());
    let panicked = Panicked::new(payload, Some(unretrieved.clone()));
    // SAFETY: the task has not ended, so its runtime is alive.
    let exceptions = unsafe { &*task.header().runtime }.exceptions.clone();
    unretrieved.set(Debt { exceptions, task: TaskHandle::new(task), panic: panicked.message().clone() });
    fail(task, Failure::Panicked(panicked))
}

#[cold]
fn fail(task: TaskRef, failure: Failure) -> After {
    let ended = match failure {
        Failure::Cancelled(_) => Ended::Cancelled,
        Failure::Panicked(_) => Ended::Panicked,
    };
    store(task, failure);
    end(task, ended)
}

/// What the task ended with is stored: tells its awaiters. The registry's reference goes with the transition, after
/// which the task may be gone.
#[inline]
fn end(task: TaskRef, ended: Ended) -> After {
    let header = task.header();
    if let Some(extras) = header.try_extras() {
        extras.clear_context();
    }
    let runtime = header.runtime;
    // SAFETY: the registry has the task until now, so its runtime is alive; and it stays alive while this worker works.
    unsafe { &*runtime }.registry.remove(task);
    complete(task, ended, runtime);
    After::Nothing
}

/// The end of a task that no registry knows any more.
#[inline]
pub(crate) fn complete(task: TaskRef, ended: Ended, runtime: *const Shared) {
    let header = task.header();
    trace::ended(header, ended);
    let mut told = header.waiters.close();
    if ended == Ended::Value {
        // SAFETY: the output was stored, and owners find it only once the task is complete.
        unsafe { told.judge(task) };
    }
    let (ended, complete) = match header.state.complete(ended) {
        Complete::Undelivered => {
            // A request came during the very last steps. Who finds the waiters closed waits for this destructor.
            lose_value(task);
            store(task, Failure::Cancelled(request_message(header)));
            (Ended::Cancelled, header.state.complete(Ended::Cancelled))
        }
        complete => (ended, complete),
    };
    if complete == Complete::Orphaned {
        task.drop_outcome();
        task.drop_ref();
    }
    told.tell(runtime, ended == Ended::Value);
}

pub(crate) fn store(task: TaskRef, failure: Failure) {
    // SAFETY: the stage is empty (the future and any output are gone) and large enough for a box.
    unsafe { task.stage::<Box<Failure>>().write(Box::new(failure)) };
}
