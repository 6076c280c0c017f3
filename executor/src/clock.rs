//! The executor's own look at the time: how long polls take. Timers and the mock clock are the driver's.

use std::time::Instant;

/// The real, monotonic time.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}
