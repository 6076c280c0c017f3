//! Doing something every so often.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::instant::Instant;
use crate::sleep::{Sleep, sleep_until};

/// Ticks every `period`, the first time at once.
///
/// Ticks don't drift: each is due one period after the one before was *due*. What becomes of ticks that nobody fetched
/// in time is for [`Interval::missed`] to say.
///
/// # Panics
///
/// If the period is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "`interval` was called with a period of zero, which would tick without end: \
         use `sleep(Duration::ZERO)` in a loop to give way"
    );
    Interval { period, missed: Missed::Burst, next: None }
}

/// What an [`Interval`] does when a tick is fetched so late that the next one is due already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Missed {
    /// Gives the ticks that were missed one after the other, at once, until it has caught up.
    #[default]
    Burst,
    /// Forgets them; the next tick is due a whole period after the late one was fetched.
    Delay,
    /// Forgets them; the next tick is due when it always was: a multiple of the period after the first.
    Skip,
}

/// A clock that ticks; made by [`interval`].
#[derive(Debug)]
#[must_use = "an interval does nothing unless its ticks are awaited"]
pub struct Interval {
    /// The time between ticks; not zero.
    period: Duration,
    /// What to do about missed ticks.
    missed: Missed,
    /// The wait for the next tick; `None` before the first poll, at which the first tick is due.
    next: Option<Sleep>,
}

impl Interval {
    /// Says what becomes of ticks that were missed; [`Missed::Burst`] unless said otherwise.
    pub fn missed(mut self, missed: Missed) -> Interval {
        self.missed = missed;
        self
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Waits for the next tick, and gives the time at which it was due.
    ///
    /// # Cancellation
    ///
    /// A cancellation of the task is delivered here. A tick that nobody got, because the future was dropped, is given
    /// to the next call.
    ///
    /// # Panics
    ///
    /// When polled on a thread that runs no loop.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The poll form of [`tick`](Self::tick).
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let next = self.next.get_or_insert_with(|| sleep_until(Instant::now()));
        ready!(Pin::new(&mut *next).poll(cx));
        let now = Instant::now();
        let due = next.deadline().unwrap_or(now);
        next.reset(following(due, now, self.period, self.missed));
        Poll::Ready(due)
    }

    /// Has the next tick come one period from now.
    pub fn reset(&mut self) {
        let when = Instant::now().saturating_add(self.period);
        self.next.get_or_insert_with(|| sleep_until(when)).reset(when);
    }
}

/// When the tick after the one that was due at `due`, and is given at `now`, is due.
fn following(due: Instant, now: Instant, period: Duration, missed: Missed) -> Instant {
    let regular = due.saturating_add(period);
    if now < regular {
        return regular;
    }
    match missed {
        Missed::Burst => regular,
        Missed::Delay => now.saturating_add(period),
        Missed::Skip => {
            let past = (now - due).as_nanos() % period.as_nanos();
            // Below the period, which is not above `now - due` here, which fits a word.
            now.saturating_add(period - Duration::from_nanos(past as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::testing::{Log, poll, reactor};

    #[test]
    fn ticks_at_once_then_every_period_and_keeps_a_tick_that_nobody_got() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let start = Instant::now();
        let mut interval = interval(Duration::from_secs(1));
        let waker = log.waker(1);
        assert_eq!(poll(&mut Box::pin(interval.tick()), &waker), Poll::Ready(start));
        assert!(poll(&mut Box::pin(interval.tick()), &waker).is_pending());

        let due = start + Duration::from_secs(1);
        reactor.shared().clock.advance_to((due + Duration::from_millis(300)).as_nanos());
        assert!(reactor.fire_due(0));
        assert_eq!(log.take(), [1]);
        assert_eq!(poll(&mut Box::pin(interval.tick()), &waker), Poll::Ready(due));
        assert!(poll(&mut Box::pin(interval.tick()), &waker).is_pending());
        assert_eq!(reactor.shared().timers.earliest(), (due + Duration::from_secs(1)).as_nanos());

        interval.reset();
        assert_eq!(reactor.shared().timers.earliest(), (due + Duration::from_millis(1300)).as_nanos());
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn after(now: u64, missed: Missed) -> u64 {
        following(at(1000), at(now), Duration::from_nanos(100), missed).as_nanos()
    }

    #[test]
    fn a_tick_fetched_before_the_next_is_due_keeps_the_rhythm() {
        for missed in [Missed::Burst, Missed::Delay, Missed::Skip] {
            assert_eq!(after(1000, missed), 1100);
            assert_eq!(after(1099, missed), 1100);
        }
    }

    #[test]
    fn missed_ticks() {
        assert_eq!((after(1100, Missed::Burst), after(1350, Missed::Burst)), (1100, 1100));
        assert_eq!((after(1100, Missed::Delay), after(1350, Missed::Delay)), (1200, 1450));
        assert_eq!((after(1100, Missed::Skip), after(1350, Missed::Skip)), (1200, 1400));
    }

    #[test]
    fn a_period_beyond_the_clock_never_comes() {
        for missed in [Missed::Burst, Missed::Delay, Missed::Skip] {
            assert_eq!(following(at(5), at(10), Duration::MAX, missed), at(u64::MAX));
        }
    }

    #[test]
    #[should_panic(expected = "period of zero")]
    fn a_period_of_zero_is_refused() {
        let _ = interval(Duration::ZERO);
    }
}
