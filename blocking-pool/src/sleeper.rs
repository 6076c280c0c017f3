//! A pool thread's own place to sleep.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
#[cfg(not(kumihimo_loom))]
use std::time::Instant;

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
        // Relaxed: what there is to do is found under the crew's lock. A swap, though a store would do: in loom's memory a
        // plain store may fall behind the other side's swaps.
        self.woken.swap(true, Relaxed);
        self.parker.unpark();
    }

    /// Sleeps until woken (true) or until `limit` has passed (false).
    #[cfg(not(kumihimo_loom))]
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

    /// The same. loom has no time: any limit has passed once others have had a turn.
    #[cfg(kumihimo_loom)]
    pub(crate) fn sleep(&self, limit: Duration) -> bool {
        if limit < Duration::MAX {
            loom::thread::yield_now();
            return self.woken();
        }
        while !self.woken() {
            self.parker.park();
        }
        true
    }

    fn woken(&self) -> bool {
        // Relaxed: as in `wake`. Only this thread clears it.
        self.woken.swap(false, Relaxed)
    }
}
