//! The state word of a task, and every transition it can make.
//!
//! | bits | set by | cleared by | meaning |
//! |---|---|---|---|
//! | `SCHEDULED` | a waker, `cancel`, creation | the start of a poll, completion | in a queue, or about to be put there |
//! | `RUNNING` | the start of a poll | its end | one worker polls the task |
//! | `COMPLETE` | completion | never | the output (or failure) is stored |
//! | `STARTED` | the first poll | never | the body has begun |
//! | `PENDING` | `cancel` of a task that is not suspended | delivery, `uncancel` | a request that may be taken back |
//! | `COMMITTED` | `cancel` of a suspended task | delivery | a request that is on its way |
//! | `CANCELLED`, `PANICKED` | completion | never | how the task ended, if not with a value |
//! | `PINNED` | creation | never | runs on one worker only |
//! | `IO_WOKEN` | a wake from the reactor | the start of a poll | the next poll's duration is measured |
//! | `HEAVY` | a measured poll that was long | one that was short | the next such poll is expected to be long |
//! | `PASSED_ON` | `cancel` along the await link | the start of a poll | the request went to what the task awaits |
//! | `REPORTS` | `report_err` | never | an error in the output may be owed to the exception handler |
//!
//! Above them stand two counters. *Interest* counts the owners of the output (`Task`, `SharedTask`s); as a group they
//! hold one *reference*. The registry holds another until the task completes, so a queue entry needs none: who is
//! `SCHEDULED` or `RUNNING` is not complete, and only the worker that runs a task completes it.

use crate::sync::Memory;
use crate::sync::atomic::{AtomicU64, Ordering::*};

const SCHEDULED: u64 = 1;
const RUNNING: u64 = 1 << 1;
const COMPLETE: u64 = 1 << 2;
const STARTED: u64 = 1 << 3;
const PENDING: u64 = 1 << 4;
const COMMITTED: u64 = 1 << 5;
const CANCELLED: u64 = 1 << 6;
const PANICKED: u64 = 1 << 7;
const PINNED: u64 = 1 << 8;
const IO_WOKEN: u64 = 1 << 9;
const HEAVY: u64 = 1 << 10;
const PASSED_ON: u64 = 1 << 11;

const REPORTS: u64 = 1 << 12;

const INTEREST_SHIFT: u32 = 13;
const INTEREST: u64 = 1 << INTEREST_SHIFT;
const INTEREST_MASK: u64 = ((1 << 23) - 1) << INTEREST_SHIFT;
const REF_SHIFT: u32 = 36;
const REF: u64 = 1 << REF_SHIFT;
const REF_MASK: u64 = !(REF - 1);

/// Counts above these abort the process: only a leak in a loop gets there.
const MAX_INTEREST: u64 = INTEREST_MASK / 2;
const MAX_REFS: u64 = REF_MASK / 2;

/// The word, see the module's table; and what a model sees of the memory that its references keep.
#[derive(Debug)]
pub(crate) struct State(AtomicU64, Memory);

/// What the caller of a wake must do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// Nothing: the task is complete, or somebody else saw to it.
    Nothing,
    /// Put the task into a queue.
    Schedule,
    /// As `Nothing`, and the caller's reference was the last: free the task.
    Free,
}

/// How a step of the task begins.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Start {
    /// What to do.
    pub(crate) step: Step,
    /// The reactor woke the task.
    pub(crate) io_woken: bool,
    /// Polls that the reactor asked for have been long.
    pub(crate) heavy: bool,
    /// A request went past the task to what it awaits.
    pub(crate) passed_on: bool,
}

/// What the worker does with a task taken from a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Poll it.
    Poll,
    /// Poll it and deliver a cancellation.
    Deliver,
    /// The same, of one that was requested when the task was not suspended.
    DeliverLate,
    /// It was cancelled before its first step: drop it unpolled.
    DropUnpolled,
}

/// What becomes of a task whose poll returned `Pending`.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Suspend {
    /// It is suspended; a waker has it.
    Idle,
    /// It was woken (or is due a cancellation): put it into a queue.
    Schedule,
    /// A request that came during the poll is to be passed on along the await link: the caller cancels what is awaited.
    PassOn,
}

/// What becomes of a request to cancel.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Request {
    /// The task has ended: nothing to cancel.
    Complete,
    /// Recorded while the task was not suspended: the latest message counts.
    Pending,
    /// A delivery is on its way already: the first message counts.
    Already,
    /// Recorded, and the caller must put the task into a queue; the first message counts.
    Schedule,
}

/// How a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a value.
    Value,
    /// Cancelled.
    Cancelled,
    /// With a panic.
    Panicked,
}

/// What completion asks of the worker.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Complete {
    /// Nothing: the output has owners, and the registry's reference was given up. The task may be gone.
    Owned,
    /// Nobody owns the output any more: drop it, then the registry's reference.
    Orphaned,
    /// Not complete: there is a request that was not delivered, and the task has to end cancelled, its value lost.
    Undelivered,
}

/// What giving up a reference or an interest leaves to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Dropped {
    /// Drop the output.
    pub(crate) output: bool,
    /// Free the task.
    pub(crate) free: bool,
}

impl State {
    /// A task that is scheduled, with one owner of its output, known to the registry.
    pub(crate) fn new(pinned: bool) -> State {
        let pinned = if pinned { PINNED } else { 0 };
        // One reference for the registry, one for the owners of the output.
        State(AtomicU64::new(SCHEDULED | pinned | INTEREST | (2 * REF)), Memory::new())
    }

    /// A promise: suspended for ever, until somebody [seizes](Self::seize) it. Nobody's registry knows it; the reference that
    /// its completion gives up is its own.
    pub(crate) fn promise() -> State {
        State(AtomicU64::new(STARTED | INTEREST | (2 * REF)), Memory::new())
    }

    /// Applies `f` until no other transition interferes. `f` gives the new word and the action.
    ///
    /// Every successful transition is AcqRel on the one word, so each acquires what all earlier ones released: what a
    /// waker wrote before waking is seen by the poll that follows; what a poll wrote is seen by the next, on whichever
    /// worker; the stored output is seen by whoever finds `COMPLETE`.
    #[inline]
    fn update<A>(&self, mut f: impl FnMut(u64) -> (u64, A)) -> A {
        // Relaxed: a guess, which the exchange verifies.
        let mut current = self.0.load(Relaxed);
        loop {
            let (next, action) = f(current);
            match self.0.compare_exchange_weak(current, next, AcqRel, Relaxed) {
                Ok(_) => return action,
                Err(seen) => current = seen,
            }
        }
    }

    /// A waker asks for a poll. With `consume`, the waker's reference is given up in the same step.
    #[inline]
    pub(crate) fn wake(&self, io: bool, consume: bool) -> Wake {
        let less = if consume { REF } else { 0 };
        self.update(|s| {
            let gone = consume && s & REF_MASK == REF;
            if s & (COMPLETE | SCHEDULED) != 0 {
                // The word is written even if it stays the same: the poll to come has to see what the waker saw.
                (s - less, if gone { Wake::Free } else { Wake::Nothing })
            } else if s & RUNNING != 0 {
                ((s - less) | SCHEDULED, Wake::Nothing)
            } else {
                let io = if io { IO_WOKEN } else { 0 };
                ((s - less) | SCHEDULED | io, Wake::Schedule)
            }
        })
    }

    /// The worker that took the task out of a queue begins a step.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        self.update(|s| {
            debug_assert!(
                s & (SCHEDULED | RUNNING | COMPLETE) == SCHEDULED,
                "a task was in two queues: {s:#x}"
            );
            let next = s & !(SCHEDULED | PENDING | COMMITTED | IO_WOKEN | PASSED_ON) | RUNNING | STARTED;
            let step = match s & (PENDING | COMMITTED) {
                0 => Step::Poll,
                _ if s & STARTED == 0 => Step::DropUnpolled,
                PENDING => Step::DeliverLate,
                _ => Step::Deliver,
            };
            let start = Start {
                step,
                io_woken: s & IO_WOKEN != 0,
                heavy: s & HEAVY != 0,
                passed_on: s & PASSED_ON != 0,
            };
            (next, start)
        })
    }

    /// The poll returned `Pending`. `rearmed`: a dropped forward gave its request back. `again`: the task gave way. `linked`:
    /// it awaits exactly one other, and requests go there at once.
    #[inline]
    pub(crate) fn suspend(&self, rearmed: bool, again: bool, linked: bool) -> Suspend {
        self.update(|s| {
            debug_assert!(s & (RUNNING | COMPLETE) == RUNNING, "suspending a task that does not run: {s:#x}");
            let idle = s & !RUNNING;
            if rearmed {
                (idle & !PENDING | COMMITTED | SCHEDULED, Suspend::Schedule)
            } else if again || s & SCHEDULED != 0 {
                // It gave way or was woken already: between two steps, so a request stays withdrawable.
                (idle | SCHEDULED, Suspend::Schedule)
            } else if s & PENDING == 0 {
                (idle, Suspend::Idle)
            } else if linked {
                (idle & !PENDING | PASSED_ON, Suspend::PassOn)
            } else {
                (idle & !PENDING | COMMITTED | SCHEDULED, Suspend::Schedule)
            }
        })
    }

    /// Records how long a measured poll was.
    pub(crate) fn set_heavy(&self, heavy: bool) {
        // Relaxed: a hint for the next poll, which publishes nothing.
        if heavy {
            self.0.fetch_or(HEAVY, Relaxed);
        } else {
            self.0.fetch_and(!HEAVY, Relaxed);
        }
    }

    /// The task's output (or failure) is stored: it ends.
    #[inline]
    pub(crate) fn complete(&self, ended: Ended) -> Complete {
        let outcome = match ended {
            Ended::Value => 0,
            Ended::Cancelled => CANCELLED,
            Ended::Panicked => PANICKED,
        };
        self.update(|s| {
            debug_assert!(s & (RUNNING | COMPLETE) == RUNNING, "completing a task that does not run: {s:#x}");
            // In the transition itself: `cancel` has said that the request was recorded, so it can't get lost here.
            if ended == Ended::Value && s & (PENDING | COMMITTED) != 0 {
                return (s, Complete::Undelivered);
            }
            let next = s & !(RUNNING | SCHEDULED | PENDING | COMMITTED) | COMPLETE | outcome;
            if s & INTEREST_MASK == 0 { (next, Complete::Orphaned) } else { (next - REF, Complete::Owned) }
        })
    }

    /// Whether a request waits to be delivered: for models.
    #[cfg(all(test, kumihimo_loom))]
    pub(crate) fn is_cancel_requested(&self) -> bool {
        // Relaxed: models wait for the others first.
        self.0.load(Relaxed) & (PENDING | COMMITTED) != 0
    }

    /// Takes an idle task: to drop its future at the end of its loop, or to settle a promise. False if it is in a queue, or complete.
    pub(crate) fn seize(&self) -> bool {
        self.update(|s| match s & (SCHEDULED | RUNNING | COMPLETE) {
            0 => (s | RUNNING, true),
            _ => (s, false),
        })
    }

    /// A request to cancel. `linked`: the task is suspended on one other, which the caller has passed the request on to.
    pub(crate) fn request(&self) -> Request {
        self.update(|s| {
            if s & COMPLETE != 0 {
                (s, Request::Complete)
            } else if s & COMMITTED != 0 {
                (s, Request::Already)
            } else if s & (SCHEDULED | RUNNING) != 0 {
                (s | PENDING, Request::Pending)
            } else {
                (s | COMMITTED | SCHEDULED, Request::Schedule)
            }
        })
    }

    /// A request to a task that is suspended on what can't be cancelled any more, and will wake it: delivered then, unless it
    /// is taken back. False if the task is not suspended.
    pub(crate) fn request_with_wake_up(&self) -> bool {
        self.update(|s| match s & (SCHEDULED | RUNNING | COMPLETE | COMMITTED) {
            0 => ((s & !PASSED_ON) | PENDING, true),
            _ => (s, false),
        })
    }

    /// Notes that a request went past this suspended task; false if it is not suspended.
    pub(crate) fn pass_on(&self) -> bool {
        self.update(|s| match s & (SCHEDULED | RUNNING | COMPLETE | COMMITTED) {
            0 => (s | PASSED_ON, true),
            _ => (s, false),
        })
    }

    /// The request that was to go past the task did not.
    pub(crate) fn take_back(&self) {
        // Relaxed: only the loop's thread looks at the flag, and this is that.
        self.0.fetch_and(!PASSED_ON, Relaxed);
    }

    /// Takes back a request that is not on its way yet.
    pub(crate) fn withdraw(&self) {
        // Acquire and release nothing: the request carries no data, its message is under the extras' lock.
        self.0.fetch_and(!PENDING, Relaxed);
    }

    /// One more reference.
    #[inline]
    pub(crate) fn add_ref(&self) {
        // Relaxed: a reference is made from another, and handing it over synchronises.
        let before = self.0.fetch_add(REF, Relaxed);
        if before & REF_MASK > MAX_REFS {
            abort("a task has more than 2^27 references: wakers or handles are leaking");
        }
    }

    /// One reference less; true if it was the last and the task must be freed.
    #[inline]
    pub(crate) fn drop_ref(&self) -> bool {
        self.1.is_read();
        // AcqRel: releases the owner's use of the task to the last owner, which acquires it before freeing.
        let before = self.0.fetch_sub(REF, AcqRel);
        debug_assert!(before & REF_MASK != 0, "a reference was dropped twice");
        let last = before & REF_MASK == REF;
        if last {
            self.1.is_written();
        }
        last
    }

    /// One more owner of the output.
    pub(crate) fn add_interest(&self) {
        // Relaxed: as for references.
        let before = self.0.fetch_add(INTEREST, Relaxed);
        if before & INTEREST_MASK > MAX_INTEREST {
            abort("a task has more than 2^22 owners of its output: `SharedTask`s are leaking");
        }
    }

    /// One owner of the output less. `taken`: the output was moved out.
    #[inline]
    pub(crate) fn drop_interest(&self, taken: bool) -> Dropped {
        self.update(|s| {
            debug_assert!(s & INTEREST_MASK != 0, "an owner of the output was dropped twice");
            if s & INTEREST_MASK != INTEREST {
                return (s - INTEREST, Dropped { output: false, free: false });
            }
            // The last owner gives up the group's reference too, but not before it has dropped the output.
            if s & COMPLETE != 0 && !taken {
                (s - INTEREST, Dropped { output: true, free: false })
            } else {
                (s - INTEREST - REF, Dropped { output: false, free: s & REF_MASK == REF })
            }
        })
    }

    /// Whether the caller is the only owner of the output, and nobody else may look at it.
    #[inline]
    pub(crate) fn sole_interest(&self) -> bool {
        // Acquire: pairs with `drop_interest` of the owner that was here before, whose use of the output is over.
        self.0.load(Acquire) & (INTEREST_MASK | REPORTS) == INTEREST
    }

    /// Whether the caller is the only owner of the output, but for whom [`reports`](Self::reports) lets look at it.
    pub(crate) fn sole_owner(&self) -> bool {
        // Acquire: as for `sole_interest`.
        self.0.load(Acquire) & INTEREST_MASK == INTEREST
    }

    /// From now on, an error in the output may be owed to the exception handler.
    pub(crate) fn set_reports(&self) {
        // Relaxed: what there is to report is under a lock of its own.
        self.0.fetch_or(REPORTS, Relaxed);
    }

    /// Whether the task ended with a value that nobody has to hear of.
    #[inline]
    pub(crate) fn is_plain_value(&self) -> bool {
        // Relaxed: the caller is the last owner, and saw the end when it became that.
        self.0.load(Relaxed) & (COMPLETE | CANCELLED | PANICKED | REPORTS) == COMPLETE
    }

    /// Whether an error in the output may be owed to the exception handler.
    #[inline]
    pub(crate) fn reports(&self) -> bool {
        // Relaxed: as for `set_reports`; an owner, or who completes the task, set it or was given the task after that.
        self.0.load(Relaxed) & REPORTS != 0
    }

    /// How the task ended; `None` while it has not.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Ended> {
        // Acquire: pairs with `complete`, so that the output is seen.
        let s = self.0.load(Acquire);
        if s & COMPLETE == 0 {
            return None;
        }
        Some(match s & (CANCELLED | PANICKED) {
            0 => Ended::Value,
            CANCELLED => Ended::Cancelled,
            _ => Ended::Panicked,
        })
    }

    /// Whether a request is on its way to the task.
    pub(crate) fn is_committed(&self) -> bool {
        // Relaxed: as for `is_suspended`.
        self.0.load(Relaxed) & COMMITTED != 0
    }

    /// Whether the task is suspended: neither in a queue nor running nor complete.
    pub(crate) fn is_suspended(&self) -> bool {
        // Relaxed: on one thread that thread suspends it; with several it is a guess, from which only words are compared.
        self.0.load(Relaxed) & (SCHEDULED | RUNNING | COMPLETE) == 0
    }

    /// Whether the task runs on one worker only.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        // Relaxed: set at creation and never changed.
        self.0.load(Relaxed) & PINNED != 0
    }
}

#[cold]
fn abort(what: &str) -> ! {
    eprintln!("kumihimo: {what}; aborting");
    std::process::abort()
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    fn idle() -> State {
        let state = State::new(false);
        assert_eq!(state.start().step, Step::Poll);
        assert_eq!(state.suspend(false, false, false), Suspend::Idle);
        state
    }

    #[test]
    fn a_second_wake_schedules_nothing() {
        let state = idle();
        assert_eq!(state.wake(false, false), Wake::Schedule);
        assert_eq!(state.wake(false, false), Wake::Nothing);
    }

    #[test]
    fn a_wake_during_the_poll_reschedules() {
        let state = idle();
        assert_eq!(state.wake(true, false), Wake::Schedule);
        let start = state.start();
        assert!(start.io_woken);
        assert_eq!(state.wake(false, false), Wake::Nothing);
        assert_eq!(state.suspend(false, false, false), Suspend::Schedule);
        assert!(!state.start().io_woken);
    }

    #[test]
    fn cancelled_before_the_first_step_is_dropped_unpolled() {
        let state = State::new(false);
        assert_eq!(state.request(), Request::Pending);
        assert_eq!(state.start().step, Step::DropUnpolled);
    }

    #[test]
    fn a_request_to_a_suspended_task_is_committed_and_survives_withdrawal() {
        let state = idle();
        assert_eq!(state.request(), Request::Schedule);
        assert_eq!(state.request(), Request::Already);
        state.withdraw();
        assert_eq!(state.start().step, Step::Deliver);
    }

    #[test]
    fn a_request_to_a_scheduled_task_can_be_withdrawn() {
        let state = idle();
        assert_eq!(state.wake(false, false), Wake::Schedule);
        assert_eq!(state.request(), Request::Pending);
        state.withdraw();
        assert_eq!(state.start().step, Step::Poll);
    }

    #[test]
    fn a_request_during_the_poll_is_committed_by_suspending() {
        let state = State::new(false);
        assert_eq!(state.start().step, Step::Poll);
        assert_eq!(state.request(), Request::Pending);
        assert_eq!(state.suspend(false, false, false), Suspend::Schedule);
        state.withdraw();
        assert_eq!(state.start().step, Step::Deliver);
    }

    #[test]
    fn a_request_during_the_last_poll_is_seen() {
        let state = State::new(false);
        assert_eq!(state.start().step, Step::Poll);
        assert_eq!(state.request(), Request::Pending);
        assert_eq!(state.complete(Ended::Value), Complete::Undelivered);
        assert_eq!(state.complete(Ended::Cancelled), Complete::Owned);
        assert_eq!(state.ended(), Some(Ended::Cancelled));
        assert_eq!(state.request(), Request::Complete);
    }

    #[test]
    fn the_output_is_dropped_by_exactly_one_side() {
        let owner_first = State::new(false);
        assert_eq!(owner_first.start().step, Step::Poll);
        assert_eq!(owner_first.drop_interest(false), Dropped { output: false, free: false });
        assert_eq!(owner_first.complete(Ended::Value), Complete::Orphaned);
        assert!(owner_first.drop_ref());

        let completion_first = State::new(false);
        assert_eq!(completion_first.start().step, Step::Poll);
        assert_eq!(completion_first.complete(Ended::Value), Complete::Owned);
        assert_eq!(completion_first.drop_interest(false), Dropped { output: true, free: false });
        assert!(completion_first.drop_ref());
    }
}
