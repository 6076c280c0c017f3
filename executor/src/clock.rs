//! The executor's own look at the time: how long polls take. Timers and the mock clock are the driver's.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The real, monotonic time.
#[cfg(not(kumihimo_loom))]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// loom has no time, and a model must do the same each time.
#[cfg(kumihimo_loom)]
pub(crate) fn now() -> Instant {
    static NOW: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *NOW
}

/// Whether this long has passed since `last`, which is now then. In a model it always has.
pub(crate) fn has_passed(period: Duration, last: &Cell<Instant>) -> bool {
    let now = now();
    let passed = cfg!(kumihimo_loom) || now.duration_since(last.get()) >= period;
    if passed {
        last.set(now);
    }
    passed
}
