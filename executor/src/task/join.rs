//! Awaiting a task: what `Task`, `SharedTask` and `Outcome` have in common.

use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{self as context, Forward, Leaf, WaitKind, WaitWord};

use super::cancel::{self, Passed};
use super::failure::{Failure, TaskError};
use super::header::{Header, TaskRef};
use super::link;
use super::state::Ended;
use super::waiters::{IsErr, Observer, Observing, Registered};
use crate::scheduler;

/// The part of a future that waits for a task's end.
#[derive(Debug, Default)]
pub(crate) struct Join {
    /// Whether, and where, the task will wake us.
    registered: Registered,
    /// Passes cancellations on to the task.
    forward: Forward,
    /// Gives way to a cancellation once the task has ended.
    leaf: Leaf,
}

impl Join {
    /// Waits until `task` has ended.
    // Always: it is the better part of every await of a task (26 instructions less).
    #[inline(always)]
    pub(crate) fn poll_end(&mut self, task: TaskRef, cx: &mut Context<'_>) -> Poll<Ended> {
        let header = task.header();
        if header.state.ended().is_none() {
            if self.wait(task, cx) {
                return Poll::Pending;
            }
            task.wait_complete();
        }
        if context::delivering() {
            Join::absorb(task);
        }
        ready!(self.leaf.enter(cx));
        self.registered = Registered::No;
        Poll::Ready(header.state.ended().expect("the task has ended"))
    }

    /// The task has ended while a request is being delivered: a cancellation that it ended with answers that.
    #[cold]
    fn absorb(task: TaskRef) {
        if task.header().state.ended() == Some(Ended::Cancelled) {
            Forward::absorb();
        }
    }

    /// As [`poll_end`](Self::poll_end), but a cancellation is for the awaiter alone: to it, this is a leaf.
    pub(crate) fn poll_end_alone(&mut self, task: TaskRef, cx: &mut Context<'_>) -> Poll<Ended> {
        ready!(self.leaf.enter(cx));
        panic_if_self(task);
        if task.header().state.ended().is_none() {
            if task.header().waiters.register(&mut self.registered, cx) {
                self.leaf.wait(WaitKind::Other);
                return Poll::Pending;
            }
            task.wait_complete();
        }
        self.registered = Registered::No;
        Poll::Ready(task.header().state.ended().expect("the task has ended"))
    }

    /// Has an observer told of the end, in place of whoever waited through this before.
    ///
    /// # Safety
    ///
    /// `is_err`, if it is there, looks at the type of the task's output.
    pub(crate) unsafe fn observe(
        &mut self,
        task: TaskRef,
        observer: Arc<dyn Observer>,
        index: usize,
        is_err: Option<IsErr>,
    ) -> bool {
        self.leave(task);
        let observing = Observing { observer, index, is_err, failed: false };
        // SAFETY: as the caller says.
        let observed = unsafe { task.header().waiters.observe(observing, &mut self.registered) };
        if !observed {
            task.wait_complete();
        }
        observed
    }

    /// Registers with a task that has not ended; false if it has, after all.
    fn wait(&mut self, task: TaskRef, cx: &mut Context<'_>) -> bool {
        panic_if_self(task);
        self.forward.adopt();
        if let Some(message) = self.forward.take() {
            match cancel::pass_on(polling(), task, message.clone()) {
                Passed::On => {}
                Passed::Round => self.forward.give_back(message),
                Passed::Ended => {
                    self.forward.give_back(message);
                    return false;
                }
            }
        }
        let waits = task.header().waiters.register(&mut self.registered, cx);
        if waits {
            self.leaf.forwarding();
            if is_of_this_loop(task) {
                if header_is_promise(task) {
                    link::hold(task);
                }
                // SAFETY: it is a task of the polling task's loop, and has not ended, as it has just registered us; or a
                // promise that is held until the task is suspended.
                unsafe { self.forward.wait(WaitWord::forward(task.as_ptr().cast())) };
            } else {
                self.forward.wait_other();
            }
        }
        waits
    }

    /// The task ended without a value: raises its cancellation here, or lets its panic go on.
    #[cold]
    pub(crate) fn raise<T>(&mut self, failure: &Failure, cx: &Context<'_>) -> Poll<T> {
        match failure {
            Failure::Cancelled(message) => {
                assert!(
                    !context::current_task().is_null(),
                    "the awaited task was cancelled, and here, outside of a kumihimo task, there is nothing to raise that \
                     into: await `task.outcome()` and look at its error instead"
                );
                self.forward.raise(message.clone(), cx);
                Poll::Pending
            }
            Failure::Panicked(panicked) => {
                self.forward.settle();
                resume_unwind(panicked.payload())
            }
        }
    }

    /// The task ended without a value: its end as a value, unless it was our own request that ended it.
    #[cold]
    pub(crate) fn outcome<T>(&mut self, failure: &Failure, cx: &Context<'_>) -> Poll<Result<T, TaskError>> {
        match failure {
            Failure::Cancelled(message) if self.forward.settle() => {
                self.forward.raise_answer(message.clone(), true, cx);
                Poll::Pending
            }
            failure => Poll::Ready(Err(failure.into())),
        }
    }

    /// The task ended with a value: a request that was passed on to it is answered.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.forward.settle();
    }

    /// Stops waiting.
    #[inline]
    pub(crate) fn leave(&mut self, task: TaskRef) {
        task.header().waiters.deregister(&mut self.registered);
    }
}

/// Whether the task belongs to the loop of the one that is being polled. Links go to such tasks only: another loop's could
/// end before the poll does.
#[inline]
fn is_of_this_loop(task: TaskRef) -> bool {
    polling().is_some_and(|polling| polling.runtime == task.header().runtime)
}

/// A promise that is awaited where requests follow links.
fn header_is_promise(task: TaskRef) -> bool {
    task.header().is_promise() && scheduler::links_here()
}

/// The task that is being polled on this thread.
#[inline]
fn polling<'a>() -> Option<&'a Header> {
    let polling = NonNull::new(context::current_task().cast_mut().cast::<Header>())?;
    Some(TaskRef::new(polling).header())
}

pub(crate) fn panic_if_self(task: TaskRef) {
    assert!(
        !std::ptr::eq(context::current_task(), task.as_ptr().cast()),
        "a task awaits itself, and would wait for ever: the one created at {}",
        task.header().site,
    );
}

/// What a failed task left; the caller owns an interest.
pub(crate) fn failure<'a>(task: TaskRef) -> &'a Failure {
    debug_assert!(matches!(task.header().state.ended(), Some(Ended::Cancelled | Ended::Panicked)));
    // SAFETY: the stage of a failed task holds its failure until the last owner of the output is gone.
    unsafe { &*task.stage::<Box<Failure>>() }
}
