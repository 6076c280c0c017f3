//! A call: its frame until it begins, its outcome when it has ended, and who waits for it.

use std::any::type_name;
use std::fmt;
use std::mem;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use super::error::ProcessError;
use super::worker::Worker;
use crate::clock::Hold;
use crate::quiet::quietly;

/// A call as it is sent.
pub(super) type Frame = Arc<Vec<u8>>;

/// A call may have been sent to so many workers that died before they began it. It is the likely cause then.
const FAILED_DELIVERIES: u8 = 3;

/// What a call ends with: the result, encoded.
pub(super) type Outcome = Result<Vec<u8>, ProcessError>;

/// What a call is for those who read an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct What {
    /// The type of the function, by name: a function pointer has no other name.
    pub(super) function: &'static str,
    /// Where it was submitted.
    pub(super) place: &'static Location<'static>,
}

impl What {
    /// A call of this function by our caller's caller.
    #[track_caller]
    pub(super) fn here<F>(_: F) -> What {
        What { function: type_name::<F>(), place: Location::caller() }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (submitted at {})", self.function, self.place)
    }
}

/// A call, shared by its handle and by the pool.
pub(super) struct Call {
    /// What answers to it carry.
    pub(super) number: u32,
    /// Its function, and who submitted it.
    pub(super) what: What,
    /// The bytes of its frame.
    pub(super) length: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    stage: Stage,
    /// Whom its end, or a loop for it to be found, wakes.
    waker: Option<Waker>,
    /// Keeps a paused clock still until it has ended.
    hold: Option<Hold>,
    /// The handle is gone.
    is_abandoned: bool,
    /// The workers that died before they began it.
    failed_deliveries: u8,
}

enum Stage {
    /// In the queue, with the frame that is to be sent.
    Waiting(Frame),
    /// Sent to this worker, which may have begun it.
    Sent(Weak<Worker>),
    /// Not taken by the handle.
    Ended(Outcome),
    /// The outcome was taken, or nobody wants it.
    Over,
}

/// What is to be done about a call whose handle is gone.
pub(super) enum Abandoned {
    /// Nothing.
    Over,
    /// It was in the queue, where it is litter now.
    Waiting,
    /// It was sent to this worker, and can be had back if it has not begun.
    Sent(Arc<Worker>),
}

impl Call {
    pub(super) fn new(number: u32, what: What, frame: Vec<u8>, hold: Option<Hold>) -> Call {
        Call::in_stage(number, what, Stage::Waiting(Arc::new(frame)), hold)
    }

    /// A call that ended before it was submitted.
    pub(super) fn ended(what: What, error: ProcessError) -> Call {
        Call::in_stage(0, what, Stage::Ended(Err(error)), None)
    }

    fn in_stage(number: u32, what: What, stage: Stage, hold: Option<Hold>) -> Call {
        let length = if let Stage::Waiting(frame) = &stage { frame.len() } else { 0 };
        let inner = Inner { stage, waker: None, hold, is_abandoned: false, failed_deliveries: 0 };
        Call { number, what, length, inner: Mutex::new(inner) }
    }

    /// Takes it off the queue, for this worker: gives the frame, unless it was withdrawn or has ended.
    pub(super) fn send_to(&self, worker: &Arc<Worker>) -> Option<Frame> {
        let mut inner = self.lock();
        match mem::replace(&mut inner.stage, Stage::Over) {
            Stage::Waiting(frame) => {
                inner.stage = Stage::Sent(Arc::downgrade(worker));
                Some(frame)
            }
            other => {
                inner.stage = other;
                None
            }
        }
    }

    /// It has not begun, and never will where it was sent: it waits again. False if nobody wants it any more, and if it has cost
    /// so many workers their lives that it will not get another (`has_died`).
    pub(super) fn put_back(&self, frame: &Frame, has_died: bool) -> bool {
        let mut inner = self.lock();
        if !matches!(inner.stage, Stage::Sent(_)) {
            return false;
        }
        if inner.is_abandoned {
            inner.stage = Stage::Over;
            let hold = inner.hold.take();
            drop(inner);
            drop(hold);
            return false;
        }
        inner.failed_deliveries += u8::from(has_died);
        if inner.failed_deliveries >= FAILED_DELIVERIES {
            return false;
        }
        inner.stage = Stage::Waiting(Arc::clone(frame));
        true
    }

    /// Ends it, unless that has happened, and wakes who waits for it.
    pub(super) fn end(&self, outcome: Outcome) {
        let mut inner = self.lock();
        if matches!(inner.stage, Stage::Ended(_) | Stage::Over) {
            inner.hold = None;
            return;
        }
        inner.stage = Stage::Ended(outcome);
        let (waker, hold) = (inner.waker.take(), inner.hold.take());
        drop(inner);
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
        // After the awaiter was woken, so that a paused clock finds it scheduled and does not advance.
        drop(hold);
    }

    /// The handle is gone. One that has begun holds the clock until it ends: what it does may matter to others.
    pub(super) fn abandon(&self) -> Abandoned {
        let mut inner = self.lock();
        inner.is_abandoned = true;
        let waker = inner.waker.take();
        if let Stage::Sent(worker) = &inner.stage {
            let worker = worker.upgrade();
            drop(inner);
            drop(waker);
            return worker.map_or(Abandoned::Over, Abandoned::Sent);
        }
        let (stage, hold) = (mem::replace(&mut inner.stage, Stage::Over), inner.hold.take());
        drop(inner);
        drop((waker, hold));
        if matches!(stage, Stage::Waiting(_)) { Abandoned::Waiting } else { Abandoned::Over }
    }

    /// The outcome, which can be had once.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Outcome> {
        let mut inner = self.lock();
        if let Stage::Ended(_) = inner.stage
            && let Stage::Ended(outcome) = mem::replace(&mut inner.stage, Stage::Over)
        {
            return Poll::Ready(outcome);
        }
        assert!(
            !matches!(inner.stage, Stage::Over),
            "a call in a process was awaited again after it had given its result"
        );
        if !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Has the handle look again: there may be no loop that runs for the call.
    pub(super) fn nudge(&self) {
        let waker = self.lock().waker.clone();
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lock().stage, Stage::Ended(_) | Stage::Over)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.lock().stage, Stage::Waiting(_))
    }

    /// The worker that it was sent to.
    pub(super) fn worker(&self) -> Option<Arc<Worker>> {
        match &self.lock().stage {
            Stage::Sent(worker) => worker.upgrade(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A waker's clone is the only foreign code under the lock, and leaves everything whole if it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
