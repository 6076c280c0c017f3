//! Waiting for many detached tasks without a join handle each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_channel::oneshot;

/// Counts tasks down; the last one wakes who armed it. One of them lives in a static per row, so that
/// a task carries no reference count of ours.
pub(crate) struct Countdown {
    /// How many ticks are still to come.
    left: AtomicUsize,
    /// Sent to by the last tick; present while armed.
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    /// One that is not armed.
    pub(crate) const fn new() -> Countdown {
        Countdown { left: AtomicUsize::new(0), done: Mutex::new(None) }
    }

    /// Expects `count` ticks; the receiver resolves at the last.
    pub(crate) fn arm(&self, count: usize) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        *self.done.lock().expect("no tick panics") = Some(sender);
        // Release: pairs with the last tick's acquire, which must see the sender. (The lock would do as well.)
        self.left.store(count, Ordering::Release);
        receiver
    }

    /// One task has ended.
    pub(crate) fn tick(&self) {
        // Release and acquire: the last tick comes after everything the other tasks did before theirs.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = self.done.lock().expect("no tick panics").take()
        {
            // The receiver is gone only if the row was given up.
            let _ = done.send(());
        }
    }
}
