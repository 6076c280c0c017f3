//! The loop's clock: the real one, or one that a test drives by hand.
//!
//! [`pause`] stops the clock of the loop that this thread runs. From then on sleeps, intervals and time-outs end only
//! when the clock is moved: by [`advance`], or by itself, to the earliest deadline, whenever every task waits and no
//! blocking job is open. So a test that sleeps for an hour takes no time, and its order is that of the deadlines.

use std::fmt;
use std::time::Duration;

use crate::current::with_current;
use crate::instant::Instant;
use crate::reactor::{Reactor, Shared};
use crate::sleep::sleep;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, lock};

/// The value of [`Clock::frozen`] while the clock runs.
const RUNNING: u64 = u64::MAX;

/// The last time a clock can be set to, 292 years after the anchor. Later deadlines are as good as never.
const END: u64 = i64::MAX as u64;

/// How often [`advance`] gives way after each step: chains of as many wake-ups (a sleeper ends, its awaiter goes on,
/// and so forth) see the time that began them.
const SETTLE_TURNS: usize = 16;

/// A clock that runs, or is paused.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The time at which the clock stands; [`RUNNING`] while it is not paused.
    frozen: AtomicU64,
    /// What is to be added to the real clock, as an `i64`; it changes only while the clock is paused.
    offset: AtomicU64,
    /// How many [`ClockHold`]s there are.
    holds: AtomicUsize,
    /// Held while `frozen` is written.
    control: Mutex<()>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            frozen: AtomicU64::new(RUNNING),
            offset: AtomicU64::new(0),
            holds: AtomicUsize::new(0),
            control: Mutex::new(()),
        }
    }

    /// The time.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        // Acquire: pairs with the release in `resume`, whose offset we then see.
        match self.frozen.load(Ordering::Acquire) {
            RUNNING => self.running_now(),
            frozen => Instant::from_nanos(frozen),
        }
    }

    #[inline]
    fn running_now(&self) -> Instant {
        let offset = self.offset.load(Ordering::Relaxed).cast_signed();
        Instant::from_nanos(Instant::real().as_nanos().saturating_add_signed(offset))
    }

    pub(crate) fn is_paused(&self) -> bool {
        // Relaxed: an answer that may be outdated at once in any case.
        self.frozen.load(Ordering::Relaxed) != RUNNING
    }

    /// Stops the clock; nothing if it stands already.
    pub(crate) fn pause(&self) {
        let _control = lock(&self.control);
        if !self.is_paused() {
            // Relaxed: the time is all that there is to see. As in `advance_to`.
            self.frozen.store(self.running_now().as_nanos().min(END), Ordering::Relaxed);
        }
    }

    /// Lets the clock run on from where it stands; false if it was running.
    ///
    /// Whoever waits for a deadline must then be interrupted, to compute a real time-out.
    pub(crate) fn resume(&self) -> bool {
        let _control = lock(&self.control);
        let frozen = self.frozen.load(Ordering::Relaxed);
        if frozen != RUNNING {
            let offset = frozen.cast_signed().wrapping_sub(Instant::real().as_nanos().cast_signed());
            self.offset.store(offset.cast_unsigned(), Ordering::Relaxed);
            // Release: pairs with the Acquire in `now`, for the offset.
            self.frozen.store(RUNNING, Ordering::Release);
        }
        frozen != RUNNING
    }

    /// Moves a paused clock forward to `when` (never backward); false if it is not paused.
    pub(crate) fn advance_to(&self, when: u64) -> bool {
        let _control = lock(&self.control);
        let frozen = self.frozen.load(Ordering::Relaxed);
        if frozen != RUNNING {
            self.frozen.store(frozen.max(when.min(END)), Ordering::Relaxed);
        }
        frozen != RUNNING
    }

    /// Whether the clock may advance by itself as soon as all tasks wait.
    ///
    /// A job that has woken its task releases its hold after that, so once this was true, a look at what was woken (the
    /// interrupt flag) says whether all tasks still wait. Look in that order.
    pub(crate) fn may_auto_advance(&self) -> bool {
        // Acquire: pairs with the release in `release`, before which the job's task was woken.
        self.is_paused() && self.holds.load(Ordering::Acquire) == 0
    }

    /// Moves a paused clock to the earliest deadline, if no hold forbids it; true if it moved, or stands there.
    pub(crate) fn auto_advance_to(&self, deadline: u64) -> bool {
        deadline <= END && self.may_auto_advance() && self.advance_to(deadline)
    }

    pub(crate) fn hold(&self) {
        // Relaxed: taken by a task that runs, and while one runs the clock does not advance by itself.
        self.holds.fetch_add(1, Ordering::Relaxed);
    }

    /// True if it was the last hold and somebody may be waiting for that.
    pub(crate) fn release(&self) -> bool {
        // Release: pairs with the Acquire in `may_auto_advance`, as do those of the other holds.
        self.holds.fetch_sub(1, Ordering::Release) == 1 && self.is_paused()
    }
}

/// While it lives, a paused clock does not advance by itself: made by [`Reactor::hold_clock`] for each blocking job.
///
/// Drop it after the job's task was woken.
#[must_use = "the clock is released when the guard is dropped"]
pub struct ClockHold {
    /// Whose clock is held.
    reactor: Reactor,
}

impl ClockHold {
    pub(crate) fn new(reactor: Reactor) -> ClockHold {
        reactor.shared().clock.hold();
        ClockHold { reactor }
    }
}

impl Drop for ClockHold {
    fn drop(&mut self) {
        if self.reactor.shared().clock.release() {
            self.reactor.interrupt();
        }
    }
}

impl fmt::Debug for ClockHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockHold").finish_non_exhaustive()
    }
}

/// Stops the clock of the loop that this thread runs; nothing if it stands already.
///
/// # Panics
///
/// On a thread that runs no loop.
#[track_caller]
pub fn pause() {
    on_loop("pause", with_current(|shared, _| shared.clock.pause()));
}

/// Lets the clock of the loop that this thread runs go on from where it stands; nothing if it runs.
///
/// # Panics
///
/// On a thread that runs no loop.
#[track_caller]
pub fn resume() {
    let reactor = on_loop("resume", Reactor::current());
    if reactor.shared().clock.resume() {
        reactor.interrupt();
    }
}

/// Moves the paused clock of the running loop forward.
///
/// It moves from deadline to deadline, and after each step gives way, so that the tasks woken by it run while the
/// clock shows that deadline, and may set new ones. Where several workers run tasks, that is a best effort: a task that
/// is slow to run may see a later time, never an earlier one.
///
/// # Cancellation
///
/// The clock stays at the step it had come to.
///
/// # Panics
///
/// Outside of a loop, and where the clock is not [paused](pause).
pub async fn advance(duration: Duration) {
    let target = on_loop("advance", with_current(|shared, _| shared.clock.now().saturating_add(duration)));
    assert!(
        on_loop("advance", with_current(|shared, _| shared.clock.is_paused())),
        "`clock::advance` was called while the clock runs: call `clock::pause()` first"
    );
    let target = target.as_nanos().min(END);
    while on_loop("advance", with_current(|shared, worker| step(shared, worker, target))) {
        settle().await;
    }
    settle().await;
}

/// Moves to the next deadline, or to `target` if that is not later, and fires what is due. False if that was the last.
fn step(shared: &Shared, worker: usize, target: u64) -> bool {
    let deadline = shared.timers.earliest();
    let last = deadline > target;
    let moved = shared.clock.advance_to(if last { target } else { deadline });
    shared.timers.fire_all(worker, shared.clock.now().as_nanos());
    moved && !last
}

/// Lets the tasks that were woken run.
async fn settle() {
    for _ in 0..SETTLE_TURNS {
        sleep(Duration::ZERO).await;
    }
}

#[track_caller]
fn on_loop<T>(name: &str, found: Option<T>) -> T {
    match found {
        Some(found) => found,
        None => panic!(
            "`clock::{name}` was called on a thread that runs no kumihimo loop: call it inside of `run`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Log, poll, reactor};
    use crate::timers::NEVER;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_running_clock_is_the_real_one() {
        let clock = Clock::new();
        let before = Instant::real();
        let now = clock.now();
        assert!(before <= now && now <= Instant::real());
        assert!(!clock.advance_to(now.as_nanos() + SECOND) && !clock.resume());
        assert!(clock.now() < before + Duration::from_secs(1));
    }

    #[test]
    fn a_paused_clock_moves_only_forward_and_runs_on_from_there() {
        let clock = Clock::new();
        clock.pause();
        let start = clock.now();
        clock.pause();
        assert_eq!(clock.now(), start);
        assert!(clock.advance_to(start.as_nanos() + 3600 * SECOND));
        assert!(clock.advance_to(start.as_nanos()));
        assert_eq!(clock.now(), start + Duration::from_secs(3600));
        assert!(clock.resume() && !clock.is_paused());
        let running = clock.now();
        assert!(running >= start + Duration::from_secs(3600) && running < start + Duration::from_secs(7200));
        clock.pause();
        assert!(clock.now() >= running);
    }

    #[test]
    fn it_advances_by_itself_only_when_paused_and_not_held() {
        let clock = Clock::new();
        assert!(!clock.auto_advance_to(SECOND));
        clock.pause();
        let next = clock.now().as_nanos() + SECOND;
        clock.hold();
        clock.hold();
        assert!(!clock.auto_advance_to(next));
        assert!(!clock.release());
        assert!(!clock.auto_advance_to(next));
        assert!(clock.release());
        assert!(clock.auto_advance_to(next));
        assert_eq!(clock.now().as_nanos(), next);
        assert!(!clock.auto_advance_to(NEVER));
        assert_eq!(clock.now().as_nanos(), next);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        let clock = Clock::new();
        clock.pause();
        assert!(clock.advance_to(u64::MAX) && clock.is_paused());
        assert_eq!(clock.now().as_nanos(), END);
        assert!(clock.resume());
        assert!(clock.now().as_nanos() >= END && clock.now().as_nanos() < END + 3600 * SECOND);
    }

    #[test]
    fn advancing_stops_at_each_deadline_for_the_tasks_it_wakes() {
        let (reactor, log) = (reactor(2), Log::new());
        let entered = reactor.enter(1);
        pause();
        let start = Instant::now();
        let mut other = sleep(Duration::from_secs(2));
        assert!(poll(&mut other, &log.waker(2)).is_pending());
        drop(entered);
        let _entered = reactor.enter(0);
        let mut one = sleep(Duration::from_secs(1));
        let mut late = sleep(Duration::from_secs(10));
        assert!(poll(&mut one, &log.waker(1)).is_pending() && poll(&mut late, &log.waker(9)).is_pending());

        let mut advance = Box::pin(advance(Duration::from_secs(5)));
        let (own, mut seen) = (log.waker(0), Vec::new());
        while poll(&mut advance, &own).is_pending() {
            let now = Instant::now() - start;
            seen.extend(log.take().into_iter().filter(|&id| id != 0).map(|id| (id, now.as_secs())));
        }
        assert_eq!(seen, [(1, 1), (2, 2)]);
        assert_eq!(Instant::now(), start + Duration::from_secs(5));
        assert!(poll(&mut late, &log.waker(9)).is_pending());
    }

    #[test]
    #[should_panic(expected = "call `clock::pause()` first")]
    fn a_running_clock_is_not_advanced() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        let _ = poll(&mut Box::pin(advance(Duration::from_secs(1))), &log.waker(0));
    }

    #[test]
    #[should_panic(expected = "runs no kumihimo loop")]
    fn pausing_needs_a_loop() {
        pause();
    }
}
