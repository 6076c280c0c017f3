//! The executor's own look at the time: how long polls take. Timers and the mock clock are the driver's.

use std::time::Instant;

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
