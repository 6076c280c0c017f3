//! A point in time.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::LazyLock;
use std::time::{self, Duration};

use crate::current::with_current;

/// What the clock reads at the process's anchor: a day, so that "an hour ago" can be written down from the start.
const ANCHOR: u64 = 24 * 3600 * NANOS_PER_SEC;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A point in time on a loop's clock: nanoseconds, monotonic, not related to the time of day.
///
/// It is what asyncio's `loop.time()` returns. The clock is the system's monotonic one, unless the loop's clock was
/// [paused](crate::clock::pause), so instants of different loops are comparable only while neither was.
///
/// ```
/// use std::time::Duration;
/// use kumihimo_reactor::Instant;
///
/// let start = Instant::now();
/// let later = start + Duration::from_millis(5);
/// assert_eq!(later - start, Duration::from_millis(5));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[doc(alias = "loop.time")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Now: on the clock of the loop that this thread runs, or on the real one outside of a loop.
    pub fn now() -> Instant {
        with_current(|shared, _| shared.clock.now()).unwrap_or_else(Instant::real)
    }

    /// Now on the system's clock.
    #[inline]
    pub(crate) fn real() -> Instant {
        if cfg!(kumihimo_loom) {
            // loom has no time, and a model must do the same each time.
            return Instant(ANCHOR);
        }
        static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
        let since = START.elapsed();
        Instant(ANCHOR + since.as_secs() * NANOS_PER_SEC + u64::from(since.subsec_nanos()))
    }

    #[inline]
    pub(crate) const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    #[inline]
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant as seconds on the loop's clock: the number that asyncio's `loop.time()` gives.
    pub fn as_secs_f64(self) -> f64 {
        Duration::from_nanos(self.0).as_secs_f64()
    }

    /// The time from `earlier` to this instant; zero if that is not earlier.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time from this instant until [now](Instant::now); zero if it lies in the future.
    pub fn elapsed(self) -> Duration {
        Instant::now().duration_since(self)
    }

    /// The instant this much later; `None` where the clock can't express it (after 584 years).
    pub fn checked_add(self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(nanos(duration)?).map(Instant)
    }

    /// The instant this much earlier; `None` where the clock can't express it.
    pub fn checked_sub(self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(nanos(duration)?).map(Instant)
    }

    /// The instant this much later, or the last one there is: sleeping until that is sleeping for ever.
    #[inline]
    pub fn saturating_add(self, duration: Duration) -> Instant {
        self.checked_add(duration).unwrap_or(Instant(u64::MAX))
    }
}

/// A duration in nanoseconds, if a word can hold it.
#[inline]
fn nanos(duration: Duration) -> Option<u64> {
    duration.as_secs().checked_mul(NANOS_PER_SEC)?.checked_add(u64::from(duration.subsec_nanos()))
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// On overflow; see [`Instant::saturating_add`].
    #[track_caller]
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .expect("adding a duration to an instant overflows the clock; use `saturating_add` for \"never\"")
    }
}

impl AddAssign<Duration> for Instant {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// Where the result is before the clock's beginning; see [`Instant::checked_sub`].
    #[track_caller]
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration).expect(
            "subtracting a duration from an instant gives a time before the clock began; use `checked_sub`",
        )
    }
}

impl SubAssign<Duration> for Instant {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `earlier` to this instant; zero if that is not earlier.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({}.{:09}s)", self.0 / NANOS_PER_SEC, self.0 % NANOS_PER_SEC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_or_says_no() {
        let second = Duration::from_secs(1);
        let instant = Instant(5 * NANOS_PER_SEC);
        assert_eq!(instant + second, Instant(6 * NANOS_PER_SEC));
        assert_eq!(instant - second, Instant(4 * NANOS_PER_SEC));
        assert_eq!((instant - second).duration_since(instant), Duration::ZERO);
        assert_eq!(instant.checked_sub(second * 6), None);
        assert_eq!(instant.checked_add(Duration::MAX), None);
        assert_eq!(instant.saturating_add(Duration::MAX), Instant(u64::MAX));
        assert_eq!(instant.saturating_add(Duration::from_nanos(u64::MAX)), Instant(u64::MAX));
        assert_eq!(format!("{instant:?}"), "Instant(5.000000000s)");
        assert_eq!(instant.as_secs_f64(), 5.0);
    }

    #[test]
    fn the_real_clock_is_monotonic_and_an_hour_ago_exists() {
        let first = Instant::now();
        assert!(Instant::now() >= first && first.elapsed() < Duration::from_secs(3600));
        assert!(first.checked_sub(Duration::from_secs(3600)).is_some());
    }
}
