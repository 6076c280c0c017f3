//! A pool thread's own place to sleep.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use crate::sync::{AtomicBool, Parker};

/// Parks one thread until it is woken.
pub(crate) struct Sleeper {
    /// A wake-up that the thread has not noticed yet.
    woken: AtomicBool,
    /// Parks the thread that made the sleeper, which alone may sleep here.
    parker: Parker,
}

impl Sleeper {
    /// The calling thread's sleeper.
    pub(crate) fn new() -> Sleeper {
        Sleeper { woken: AtomicBool::new(false), parker: Parker::new() }
    }

    /// Wakes the thread, or lets its next sleep end at once.
    pub(crate) fn wake(&self) {
        // Release: pairs with the acquire in `woken`. A swap, though a store would do: in loom's memory a plain store
        // may fall behind the other side's swaps.
        self.woken.swap(true, Release);
        self.parker.unpark();
    }

    /// Sleeps until woken (true) or until `limit` has passed (false).
    pub(crate) fn sleep(&self, limit: Duration) -> bool {
        let end = Instant::now().checked_add(limit);
        while !self.woken() {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            self.parker.park_timeout(left);
        }
        true
    }

    fn woken(&self) -> bool {
        // Acquire: pairs with the release in `wake`. Only this thread clears it.
        self.woken.swap(false, Acquire)
    }
}
