//! Where a worker without the baton sleeps: its own thread's parking.

use std::time::Duration;

use crate::sync::Mutex;
use crate::sync::thread::{self, Thread};

/// One parker per worker. A wake-up makes a system call only if the thread is really parked (std's and the system's
/// futex see to that), and is remembered if it comes first.
pub(crate) struct Parkers(Box<[Mutex<Option<Thread>>]>);

impl Parkers {
    pub(crate) fn new(workers: usize) -> Parkers {
        Parkers((0..workers).map(|_| Mutex::new(None)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The calling thread is this worker.
    pub(crate) fn register(&self, worker: usize) {
        *self.0[worker].lock() = Some(thread::current());
    }

    /// Sleeps until woken, or for this long; may return early.
    pub(crate) fn park(&self, limit: Option<Duration>) {
        match limit {
            #[cfg(not(kumihimo_loom))]
            Some(limit) => thread::park_timeout(limit),
            // loom has no time: the watcher's next look is now.
            #[cfg(kumihimo_loom)]
            Some(_) => thread::yield_now(),
            None => thread::park(),
        }
    }

    /// Wakes a worker. Its parking token is never lost to user code: only workers that are in `park`, or on their way
    /// there, are woken.
    pub(crate) fn unpark(&self, worker: usize) {
        if let Some(thread) = &*self.0[worker].lock() {
            thread.unpark();
        }
    }
}
