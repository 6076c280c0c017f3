//! The place where a job's closure waits, and where its outcome is handed over: all the unsafe code of the crate.
//!
//! Two sides share a slot. The *pool* side starts the job and completes it, once (several may try to start it: the first
//! does); the *handle* side polls, and detaches once. Who may touch what follows from the state:
//!
//! | state | `stage` belongs to | `waker` belongs to |
//! |---|---|---|
//! | neither `STARTED` nor `DETACHED` | whoever sets one of them first | see below |
//! | `DETACHED` came first | the handle, which drops the closure | the handle |
//! | `STARTED`, not `DONE` | the pool | see below |
//! | `DONE`, not `DETACHED` before it | the handle | the pool, if `WAKER` was set before `DONE`, else the handle |
//! | `DONE`, after `DETACHED` | the pool, which drops the outcome | the handle |
//!
//! As long as the state has neither `DONE` nor `DETACHED`, the waker belongs to the handle while `WAKER` is clear;
//! while it is set, nobody touches it. `STARTED` and `DETACHED` are set by one read-modify-write each, as are `DONE`
//! and the changes of `WAKER`, so each race has one winner, and both sides know which.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Poll, Waker};

use crate::clock::Hold;
use crate::job_error::JobError;
use crate::quiet::quietly;
use crate::sync::{AtomicU8, UnsafeCell};

/// The pool has taken the closure, to run it or to refuse it. Never cleared.
const STARTED: u8 = 1;
/// The outcome is in place. Never cleared.
const DONE: u8 = 2;
/// The handle is gone, or gave up. Never cleared.
const DETACHED: u8 = 4;
/// The handle has left a waker. Set and cleared by the handle only.
const WAKER: u8 = 8;
/// The outcome is [`JobError::Cancelled`]. Set with `DONE`, never cleared.
const CANCELLED: u8 = 16;

/// A job: its closure, then its outcome, and who is to be told.
pub(crate) struct Slot<F, T> {
    /// `STARTED`, `DONE`, `DETACHED`, `WAKER`, `CANCELLED`.
    state: AtomicU8,
    /// The closure until the job is started or withdrawn; the outcome from `DONE` until it is taken.
    stage: UnsafeCell<Stage<F, T>>,
    /// Whom the completion wakes.
    waker: UnsafeCell<Option<Waker>>,
}

/// What a slot contains.
enum Stage<F, T> {
    Work(Work<F>),
    Outcome(Result<T, JobError>),
    Empty,
}

/// A closure that has not begun, and the clock that it holds.
struct Work<F> {
    f: F,
    hold: Option<Hold>,
}

// SAFETY: the closure, the outcome and the waker are reached by one side at a time, as the table above says, and
// move between threads, for which `Send` is needed; no `&F` or `&T` is ever shared. `Hold` and `Waker` are `Send`.
unsafe impl<F: Send, T: Send> Send for Slot<F, T> {}
// SAFETY: as above.
unsafe impl<F: Send, T: Send> Sync for Slot<F, T> {}

/// The pool's view of a slot.
pub(crate) trait Run: Send + Sync {
    /// Runs the job, unless it was withdrawn. Does not unwind.
    /// Calls `free` once, as soon as its thread is free for the next job: before it wakes the awaiter, who may have one.
    /// `free` is told whether the job ran.
    fn run(&self, free: &mut dyn FnMut(bool));
    /// Ends the job with `error` instead of running it, unless it was withdrawn. Does not unwind. False if it was
    /// withdrawn, or has begun.
    fn refuse(&self, error: JobError) -> bool;
    /// Whether nobody wants the job's value any more.
    fn is_detached(&self) -> bool;
}

/// The handle's view of a slot.
pub(crate) trait Await<T>: Send + Sync {
    /// The outcome; it can be had once.
    fn poll_outcome(&self, waker: &Waker) -> Poll<Result<T, JobError>>;
    /// Whether the outcome is there, or was.
    fn done(&self) -> bool;
    /// Whether the job has begun, and not ended.
    fn running(&self) -> bool;
    /// Whether the outcome is that the job was withdrawn.
    fn cancelled(&self) -> bool;
    /// Withdraws the job, unless it has begun: then nothing changes. After `true` nothing else may be called.
    fn withdraw(&self) -> bool;
    /// Gives the job up: one that has not begun is dropped, an outcome too. Not to be called twice, nor after
    /// `poll_outcome` was ready.
    fn detach(&self);
}

impl<F, T> Slot<F, T> {
    /// A slot whose job has not begun.
    pub(crate) fn new(f: F, hold: Option<Hold>) -> Slot<F, T> {
        Slot {
            state: AtomicU8::new(0),
            stage: UnsafeCell::new(Stage::Work(Work { f, hold })),
            waker: UnsafeCell::new(None),
        }
    }

    /// Handle: withdraws the job and gives the closure back, unless the job has begun; then nothing changes. After
    /// `Some` the handle touches nothing more.
    pub(crate) fn take_back(&self) -> Option<F> {
        let withdraw = |state| (state & STARTED == 0).then_some(state | DETACHED);
        // Relaxed: nothing is handed over, only who comes first counts.
        let before = self.state.fetch_update(Relaxed, Relaxed, withdraw).ok()?;
        if before & WAKER != 0 {
            // SAFETY: `DETACHED` came before `DONE`, so `complete`, if it ever runs, leaves the waker to us.
            drop(unsafe { self.replace_waker(None) });
        }
        // SAFETY: `DETACHED` came before `STARTED`, so the stage is the handle's.
        match unsafe { self.replace_stage(Stage::Empty) } {
            Stage::Work(work) => Some(work.f),
            _ => unreachable!("a blocking job was taken back twice"),
        }
    }

    /// Pool: takes the closure, unless the job was withdrawn or has begun.
    fn start(&self) -> Option<Work<F>> {
        // Relaxed: the queue has made the closure visible to us, and the handle hands nothing over by `DETACHED`;
        // only who comes first counts, and that a read-modify-write always tells.
        if self.state.fetch_or(STARTED, Relaxed) & (DETACHED | STARTED) != 0 {
            return None;
        }
        // SAFETY: `STARTED` came before `DETACHED`, so the stage is the pool's until `DONE`; and it was us who set it,
        // so nobody else on the pool's side touches the stage.
        match unsafe { self.replace_stage(Stage::Empty) } {
            Stage::Work(work) => Some(work),
            _ => unreachable!("a blocking job was started twice"),
        }
    }

    /// Pool: hands the outcome over and wakes the awaiter; drops the outcome if nobody wants it.
    fn complete(&self, outcome: Result<T, JobError>) {
        let done = if matches!(outcome, Err(JobError::Cancelled)) { DONE | CANCELLED } else { DONE };
        // SAFETY: between `STARTED` and `DONE` the stage is the pool's.
        unsafe { self.replace_stage(Stage::Outcome(outcome)) };
        // Release: pairs with the handle's acquiring reads of `DONE` (`poll_outcome`, `leave_waker`, `take_waker`,
        // `end_handle`), which then see the outcome. Acquire: pairs with the release in `leave_waker`, so that we
        // see the waker.
        let before = self.state.fetch_or(done, AcqRel);
        if before & DETACHED != 0 {
            // SAFETY: the handle detached before `DONE`, so it touches the stage no more.
            drop(unsafe { self.replace_stage(Stage::Empty) });
        } else if before & WAKER != 0 {
            // SAFETY: `WAKER` was set before `DONE` and the handle had not detached: it will find `DONE` before it
            // touches the waker again, and then leave it to us.
            if let Some(waker) = unsafe { self.replace_waker(None) } {
                waker.wake();
            }
        }
    }

    /// Handle: the outcome, if it is there.
    fn take_outcome(&self) -> Result<T, JobError> {
        // SAFETY: the callers have read `DONE` with acquire and not detached before: the stage is the handle's.
        match unsafe { self.replace_stage(Stage::Empty) } {
            Stage::Outcome(outcome) => outcome,
            _ => unreachable!("the outcome of a blocking job was taken twice"),
        }
    }

    /// Handle: leaves a waker. False if the job is done by now.
    fn leave_waker(&self, waker: &Waker) -> bool {
        // Cloning and dropping run foreign code, which may unwind: not between the writes below.
        let waker = waker.clone();
        // SAFETY: `WAKER` is clear and the handle has not detached: the waker is ours.
        let old = unsafe { self.replace_waker(Some(waker)) };
        drop(old);
        // Release: hands the waker to `complete`. Acquire: pairs with the release in `complete`, for the outcome.
        if self.state.fetch_or(WAKER, AcqRel) & DONE == 0 {
            return true;
        }
        // SAFETY: `DONE` came before `WAKER`, so `complete` leaves the waker to us.
        drop(unsafe { self.replace_waker(None) });
        false
    }

    /// Handle: takes the waker that it left out of the pool's reach. False if the job is done by now.
    fn take_waker(&self) -> bool {
        // Acquire: pairs with the release in `complete`, for the outcome. Nothing is handed over by clearing.
        self.state.fetch_and(!WAKER, Acquire) & DONE == 0
    }

    /// Handle: ends its part. What is left for it to drop is returned: the closure, or the outcome.
    fn end_handle(&self) -> Option<Stage<F, T>> {
        // Acquire: pairs with the release in `complete`, for the outcome. Nothing is handed over by `DETACHED`.
        let before = self.state.fetch_or(DETACHED, Acquire);
        if before & DONE == 0 && before & WAKER != 0 {
            // SAFETY: `DETACHED` came before `DONE`, so `complete` leaves the waker to us.
            drop(unsafe { self.replace_waker(None) });
        }
        if before & STARTED == 0 || before & DONE != 0 {
            // SAFETY: not started, and now it never will be; or done while we were still attached. In both cases the
            // stage is the handle's.
            return Some(unsafe { self.replace_stage(Stage::Empty) });
        }
        None
    }

    /// # Safety
    ///
    /// The stage must belong to the caller's side.
    unsafe fn replace_stage(&self, stage: Stage<F, T>) -> Stage<F, T> {
        // SAFETY: the caller's side is one thread at a time, so nobody else reads or writes the stage meanwhile.
        self.stage.with_mut(|place| unsafe { mem::replace(&mut *place, stage) })
    }

    /// # Safety
    ///
    /// The waker must belong to the caller's side.
    unsafe fn replace_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: as for the stage.
        self.waker.with_mut(|place| unsafe { mem::replace(&mut *place, waker) })
    }
}

impl<F, T> Run for Slot<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self, free: &mut dyn FnMut(bool)) {
        let Some(Work { f, hold }) = self.start() else { return free(false) };
        let outcome = catch_unwind(AssertUnwindSafe(f)).map_err(JobError::Panicked);
        free(true);
        quietly(|| self.complete(outcome));
        // After the awaiter was woken, so that a paused clock finds it scheduled and does not advance.
        drop(hold);
    }

    fn refuse(&self, error: JobError) -> bool {
        let Some(Work { f, hold }) = self.start() else { return false };
        quietly(|| drop(f));
        quietly(|| self.complete(Err(error)));
        drop(hold);
        true
    }

    fn is_detached(&self) -> bool {
        // Relaxed: nothing is read on the strength of it.
        self.state.load(Relaxed) & DETACHED != 0
    }
}

impl<F, T> Await<T> for Slot<F, T>
where
    F: Send,
    T: Send,
{
    fn poll_outcome(&self, waker: &Waker) -> Poll<Result<T, JobError>> {
        // Acquire: pairs with the release in `complete`, for the outcome.
        let state = self.state.load(Acquire);
        if state & DONE != 0 || (state & WAKER != 0 && !self.take_waker()) || !self.leave_waker(waker) {
            return Poll::Ready(self.take_outcome());
        }
        Poll::Pending
    }

    fn done(&self) -> bool {
        // Relaxed: nothing is read on the strength of it.
        self.state.load(Relaxed) & DONE != 0
    }

    fn running(&self) -> bool {
        // Relaxed: as for `done`.
        self.state.load(Relaxed) & (STARTED | DONE) == STARTED
    }

    fn cancelled(&self) -> bool {
        // Relaxed: as for `done`.
        self.state.load(Relaxed) & CANCELLED != 0
    }

    fn withdraw(&self) -> bool {
        self.take_back().is_some()
    }

    fn detach(&self) {
        drop(self.end_handle());
    }
}
