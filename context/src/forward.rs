//! The part that every future which awaits tasks embeds.

use std::ptr;
use std::task::Context;

use crate::cancelled::{CancelMessage, CancelledError, raise};
use crate::poll_context::{self, DELIVERING, DISCARDING, LATE, OWED, PASSED_ON, RAISING, REARMED};
use crate::wait::{WaitKind, WaitWord};

/// How a future that awaits tasks passes cancellations on.
///
/// A forward takes the request that is being delivered, cancels what it awaits, and stays `Pending` until that has
/// ended; then it [raises](Self::raise) what came out, or gives the value if the request was swallowed. A forward
/// that is dropped in between (by `select!`, say) gives the request back to its task.
#[derive(Debug)]
pub struct Forward {
    /// The task whose request was passed on and not answered yet; null if there is none.
    owes: *const (),
    /// The task that was suspended here last: a request may have gone past it, along its link, to what is awaited.
    waits: *const (),
}

// SAFETY: the addresses are compared with the current task's and never followed.
unsafe impl Send for Forward {}
// SAFETY: as above.
unsafe impl Sync for Forward {}

impl Default for Forward {
    fn default() -> Forward {
        Forward::new()
    }
}

impl Forward {
    /// A forward that has passed nothing on.
    pub const fn new() -> Forward {
        Forward { owes: ptr::null(), waits: ptr::null() }
    }

    /// Polled while what is awaited has not ended: a request that went past the task is ours to answer.
    #[inline]
    pub fn adopt(&mut self) {
        if poll_context::flags() & PASSED_ON != 0 {
            self.owes = poll_context::current_task();
        }
    }

    /// Takes the request that is being delivered, if one is, to be passed on to what is awaited.
    ///
    /// Not to be called once everything awaited has ended: then the delivery is for somebody further out.
    #[inline]
    pub fn take(&mut self) -> Option<CancelMessage> {
        let flags = poll_context::flags();
        if flags & DELIVERING == 0 {
            return None;
        }
        poll_context::set_flags(flags & !DELIVERING);
        self.owes = poll_context::current_task();
        Some(poll_context::take_message())
    }

    /// What was awaited has ended cancelled, and is about to be [raised](Self::raise): a request that is being delivered, and
    /// came only after that end had woken the task, is answered by it.
    #[inline]
    pub fn absorb() {
        let flags = poll_context::flags();
        if flags & DELIVERING != 0 && flags & LATE != 0 {
            poll_context::set_flags(flags & !DELIVERING);
            drop(poll_context::take_message());
        }
    }

    /// Gives a request back that [`take`](Self::take) took, because what was awaited turns out to have ended: the
    /// delivery goes on.
    #[cold]
    pub fn give_back(&mut self, message: CancelMessage) {
        self.owes = ptr::null();
        poll_context::set_message(message);
        poll_context::set_flags(poll_context::flags() | DELIVERING);
    }

    /// The forward returns `Pending`; `target` is what a cancellation of the task should be passed on to at once.
    ///
    /// # Safety
    ///
    /// `target` names a task of kumihimo's executor, in the loop of the task that is being polled, which has not ended. The
    /// executor follows the address.
    #[inline]
    pub unsafe fn wait(&mut self, target: WaitWord) {
        self.waits = poll_context::current_task();
        poll_context::note(target);
    }

    /// The forward returns `Pending`; `target` is an object of its own, by which requests are passed on. The executor compares the
    /// address and never follows it.
    #[inline]
    pub fn wait_object(&mut self, target: *const ()) {
        self.waits = poll_context::current_task();
        poll_context::note(WaitWord::object(target));
    }

    /// Returns `Pending` without a target: something else must happen first.
    #[inline]
    pub fn wait_other(&mut self) {
        poll_context::note(WaitWord::leaf(WaitKind::Other));
    }

    /// What was awaited has ended. True if a request had been passed on to it.
    #[inline]
    pub fn settle(&mut self) -> bool {
        self.waits = ptr::null();
        let owed = !std::mem::replace(&mut self.owes, ptr::null()).is_null();
        owed || poll_context::flags() & PASSED_ON != 0
    }

    /// What was awaited has ended cancelled: raises that here. The caller then returns `Pending`.
    ///
    /// If that answers a request to the task, the forward owes the request until it is dropped by the scope that catches it:
    /// other code may drop it in this very poll.
    pub fn raise(&mut self, message: CancelMessage, cx: &Context<'_>) {
        let owed = self.settle();
        self.raise_answer(message, owed, cx);
    }

    /// As [`raise`](Self::raise), of a forward that was settled; `owed` is what that gave.
    pub fn raise_answer(&mut self, message: CancelMessage, owed: bool, cx: &Context<'_>) {
        if owed {
            self.owes = poll_context::current_task();
        }
        raise(message, owed, cx);
    }

    /// A scope goes on after it has caught `error`, which it will raise again: if that answers a request to the task, it owes
    /// the request until then.
    pub fn owe(&mut self, error: &CancelledError) {
        if error.is_owed() {
            self.owes = poll_context::current_task();
        }
    }
}

impl Drop for Forward {
    #[inline]
    fn drop(&mut self) {
        if self.owes.is_null() && self.waits.is_null() {
            return;
        }
        let (flags, current) = (poll_context::flags(), poll_context::current_task());
        let owes = self.owes == current || (self.waits == current && flags & PASSED_ON != 0);
        if owes && !current.is_null() && flags & DISCARDING == 0 {
            // What it may have raised in this poll is gone with it.
            poll_context::set_flags(flags & !(RAISING | OWED) | REARMED);
        }
    }
}
