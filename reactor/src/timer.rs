//! A waker that is woken at a time: what callbacks and time-outs are made of.

use std::fmt;
use std::task::Waker;

use crate::current::with_current;
use crate::instant::Instant;
use crate::sleep::{Entry, no_loop};

/// Wakes a waker once, when the loop's clock reaches a time; dropping it disarms it.
///
/// Unlike a [`Sleep`](crate::Sleep) it is no future, and takes no part in cancellation.
///
/// ```
/// use std::task::Waker;
/// use std::time::Duration;
/// use kumihimo_reactor::{Instant, Reactor, Timer};
///
/// let reactor = Reactor::new(1)?;
/// let _entered = reactor.enter(0);
/// let timer = Timer::new(Instant::now() + Duration::from_secs(1), Waker::noop().clone());
/// drop(timer);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping a timer disarms it"]
pub struct Timer {
    /// When it fires.
    when: Instant,
    /// Where the waker waits.
    entry: Entry,
}

impl Timer {
    /// A timer of this thread's worker. If the time has passed, it fires as soon as the worker looks.
    ///
    /// # Panics
    ///
    /// On a thread that runs no loop.
    pub fn new(when: Instant, waker: Waker) -> Timer {
        let entry = with_current(|shared, worker| Entry::new(shared, worker, when, waker));
        Timer { when, entry: entry.unwrap_or_else(|| no_loop()) }
    }

    /// When it fires, or has fired.
    pub fn when(&self) -> Instant {
        self.when
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // The waker is dropped here, after the wheel's lock: it may be the last of its task.
        drop(self.entry.cancel());
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("when", &self.when).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::testing::{Log, reactor};

    #[test]
    fn it_wakes_once_at_its_time_unless_it_was_dropped() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let when = Instant::now() + Duration::from_secs(1);
        let timer = Timer::new(when, log.waker(1));
        drop(Timer::new(when, log.waker(2)));
        assert_eq!(timer.when(), when);
        reactor.shared().clock.advance_to(when.as_nanos() - 1);
        assert!(!reactor.fire_due(0));
        reactor.shared().clock.advance_to(when.as_nanos());
        assert!(reactor.fire_due(0) && !reactor.fire_due(0));
        assert_eq!(log.take(), [1]);
    }

    #[test]
    fn a_time_that_has_passed_is_due_at_once() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        let timer = Timer::new(Instant::now(), log.waker(1));
        assert!(reactor.fire_due(0));
        assert_eq!(log.take(), [1]);
        drop(timer);
        assert_eq!(log.wakers(), 0);
    }
}
