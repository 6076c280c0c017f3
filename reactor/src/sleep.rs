//! Sleeping.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use kumihimo_context::{Leaf, WaitKind, poll_again};
use kumihimo_timer_wheel::Key;

use crate::current::with_current;
use crate::instant::Instant;
use crate::reactor::Shared;
use crate::timers::Shard;

/// Suspends the task for at least this long, counted from the first poll.
///
/// It never ends early. `sleep(Duration::ZERO)` gives way once, so that other tasks run, and touches no timer.
///
/// # Cancellation
///
/// A cancellation of the task is delivered here. Dropping the future ends the sleep, at the cost of one list operation.
///
/// # Panics
///
/// When polled on a thread that runs no loop, unless the duration is zero.
#[doc(alias = "asyncio.sleep")]
#[inline]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(if duration.is_zero() { When::GiveWay } else { When::After(duration) })
}

/// Suspends the task until the loop's clock shows `when`; not at all if it does already.
///
/// It never ends early.
///
/// # Cancellation
///
/// As for [`sleep`].
///
/// # Panics
///
/// When polled on a thread that runs no loop.
#[inline]
pub fn sleep_until(when: Instant) -> Sleep {
    Sleep::new(When::At(when))
}

/// Suspends the task for at least this long, then gives `value`: asyncio's `sleep(delay, result)`.
///
/// # Cancellation
///
/// As for [`sleep`]; `value` is dropped with the future.
///
/// # Panics
///
/// As for [`sleep`], and when polled again after it gave its value.
#[doc(alias = "asyncio.sleep")]
#[inline]
pub fn sleep_with<T>(duration: Duration, value: T) -> SleepWith<T> {
    SleepWith { sleep: sleep(duration), value: Some(value) }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// It belongs to the loop that it was first polled on, until it is ready or [reset](Self::reset).
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    /// When it ends. `After` becomes `At` with the first poll, and `GiveWay` becomes `Now`.
    when: When,
    /// Where its waker waits; `None` before the first poll and once it is ready.
    entry: Option<Entry>,
    /// Its part in cancellation and budgeting.
    leaf: Leaf,
}

/// When a sleep ends.
#[derive(Clone, Copy, Debug)]
enum When {
    /// This long after the first poll.
    After(Duration),
    /// At this time.
    At(Instant),
    /// With the second poll.
    GiveWay,
    /// With this poll.
    Now,
}

/// A place in a wheel.
pub(crate) struct Entry {
    /// Whose wheel.
    shard: Arc<Shard>,
    /// Where in it; stale once the entry has fired.
    key: Key,
}

impl Entry {
    #[inline]
    pub(crate) fn new(shared: &Shared, worker: usize, when: Instant, waker: Waker) -> Entry {
        let shard = shared.timers.shard(worker);
        let (key, earliest) = shard.insert(when.as_nanos(), waker);
        if earliest {
            shared.hurry(when.as_nanos());
        }
        #[cfg(kumihimo_loom)]
        crate::model::timer_is_set();
        Entry { shard: Arc::clone(shard), key }
    }

    /// Takes the waker back; `None` if it was woken.
    pub(crate) fn cancel(&self) -> Option<Waker> {
        self.shard.cancel(self.key)
    }
}

impl Sleep {
    #[inline]
    const fn new(when: When) -> Sleep {
        Sleep { when, entry: None, leaf: Leaf::new() }
    }

    /// When the sleep ends; `None` if that is not known yet: a relative one that was not polled.
    pub fn deadline(&self) -> Option<Instant> {
        match self.when {
            When::At(when) => Some(when),
            When::After(_) | When::GiveWay | When::Now => None,
        }
    }

    /// Has the sleep end at `when` instead, also if it had ended.
    ///
    /// Whoever waits for it goes on waiting, and is woken then; it need not be polled again for that.
    pub fn reset(&mut self, when: Instant) {
        self.when = When::At(when);
        // Without an entry in the wheel, nobody waits, or whoever did has been woken and polls again.
        if let Some(entry) = self.entry.take()
            && let Some(waker) = entry.shard.cancel(entry.key)
        {
            self.move_to(when, waker);
        }
    }

    /// Enters the waker on this worker's wheel: only an owner may add to a wheel. Elsewhere the task must poll again.
    fn move_to(&mut self, when: Instant, waker: Waker) {
        let mut waker = Some(waker);
        self.entry =
            with_current(|shared, worker| waker.take().map(|waker| Entry::new(shared, worker, when, waker)))
                .flatten();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The first poll of what ends at a time: enters the waker on this worker's wheel, unless the time has come.
    #[inline]
    fn begin(&mut self, cx: &Context<'_>, when: impl FnOnce(Instant) -> Instant) -> Poll<()> {
        let begun = with_current(|shared, worker| {
            let now = shared.clock.now();
            let when = when(now);
            self.when = When::At(when);
            if when <= now {
                return Poll::Ready(());
            }
            self.entry = Some(Entry::new(shared, worker, when, cx.waker().clone()));
            Poll::Pending
        });
        begun.unwrap_or_else(|| no_loop())
    }

    fn give_way(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.when = When::Now;
        self.leaf.wait(WaitKind::Turn);
        poll_again(cx);
        Poll::Pending
    }
}

#[cold]
pub(crate) fn no_loop() -> ! {
    panic!(
        "a kumihimo sleep or timer was begun on a thread that runs no kumihimo loop, where nobody can wake it: \
         await it inside of `run`"
    )
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        ready!(this.leaf.enter(cx));
        let polled = match (&this.entry, this.when) {
            // The wheel decides whether the time has come, so that sleepers end in order of their deadlines.
            (Some(entry), _) if entry.shard.renew(entry.key, cx.waker()) => Poll::Pending,
            (Some(_), _) | (None, When::Now) => Poll::Ready(()),
            (None, When::GiveWay) => return this.give_way(cx),
            (None, When::After(duration)) => this.begin(cx, |now| now.saturating_add(duration)),
            (None, When::At(when)) => this.begin(cx, |_| when),
        };
        match polled {
            Poll::Ready(()) => {
                this.entry = None;
                this.leaf.done();
            }
            Poll::Pending => this.leaf.wait(WaitKind::Sleep),
        }
        polled
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        if let Some(Entry { shard, key }) = self.entry.take() {
            // The waker is dropped here, after the wheel's lock: it may be the last of its task.
            drop(shard.cancel(key));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("when", &self.when)
            .field("waiting", &self.entry.is_some())
            .finish_non_exhaustive()
    }
}

/// The future of [`sleep_with`].
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct SleepWith<T> {
    /// What is waited for.
    sleep: Sleep,
    /// What it resolves to; `None` once it has.
    value: Option<T>,
}

// The value is moved, never pinned.
impl<T> Unpin for SleepWith<T> {}

impl<T> Future for SleepWith<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.sleep).poll(cx));
        Poll::Ready(this.value.take().expect("`sleep_with` was polled after it had given its value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::testing::{Log, poll, reactor};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn ends_at_its_deadline_and_not_a_nanosecond_before() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let mut sleep = sleep(SECOND);
        assert_eq!(sleep.deadline(), None);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        let deadline = sleep.deadline().unwrap();
        assert_eq!(deadline, Instant::now() + SECOND);

        let clock = &reactor.shared().clock;
        clock.advance_to(deadline.as_nanos() - 1);
        assert!(!reactor.fire_due(0));
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        clock.advance_to(deadline.as_nanos());
        assert!(reactor.fire_due(0) && !reactor.fire_due(0));
        assert_eq!(log.take(), [1]);
        assert!(poll(&mut sleep, &log.waker(1)).is_ready());
        assert_eq!(reactor.shared().timers.earliest(), u64::MAX);
    }

    #[test]
    fn the_time_counts_from_the_first_poll() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let mut sleep = sleep(SECOND);
        let start = Instant::now();
        reactor.shared().clock.advance_to((start + SECOND * 10).as_nanos());
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        assert_eq!(sleep.deadline(), Some(start + SECOND * 11));
    }

    #[test]
    fn zero_gives_way_once_without_a_loop() {
        let log = Log::new();
        let mut sleep = sleep(Duration::ZERO);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        assert_eq!(log.take(), [1]);
        assert!(poll(&mut sleep, &log.waker(1)).is_ready());
        assert!(log.take().is_empty());
    }

    #[test]
    fn until_the_past_does_not_wait() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        let now = Instant::now();
        assert!(poll(&mut sleep_until(now), &log.waker(1)).is_ready());
        assert!(poll(&mut sleep_until(now - SECOND), &log.waker(1)).is_ready());
        assert!(log.take().is_empty());
    }

    #[test]
    #[should_panic(expected = "runs no kumihimo loop")]
    fn needs_a_loop() {
        let _ = poll(&mut sleep(SECOND), &Log::new().waker(1));
    }

    #[test]
    fn dropping_cancels_and_drops_the_waker() {
        let (reactor, log) = (reactor(2), Log::new());
        let mut sleep = sleep(SECOND);
        let waker = log.waker(1);
        {
            let _entered = reactor.enter(1);
            assert!(poll(&mut sleep, &waker).is_pending());
        }
        drop(waker);
        assert_eq!(log.wakers(), 1);
        // On another thread than its worker's.
        std::thread::scope(|scope| scope.spawn(|| drop(sleep)).join()).unwrap();
        assert_eq!(log.wakers(), 0);
        assert_eq!(reactor.shared().timers.earliest(), u64::MAX);
    }

    #[test]
    fn wakes_the_waker_of_the_last_poll() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let mut sleep = sleep(SECOND);
        for id in [1, 2, 2] {
            assert!(poll(&mut sleep, &log.waker(id)).is_pending());
            assert_eq!(log.wakers(), 1);
        }
        reactor.shared().clock.advance_to(sleep.deadline().unwrap().as_nanos());
        reactor.fire_due(0);
        assert_eq!(log.take(), [2]);
    }

    #[test]
    fn a_reset_wakes_at_the_new_time_without_another_poll() {
        let (reactor, log) = (reactor(2), Log::new());
        let mut sleep = sleep(SECOND);
        let entered = reactor.enter(0);
        clock::pause();
        let start = Instant::now();
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        drop(entered);
        let _entered = reactor.enter(1);
        sleep.reset(start + SECOND * 3);
        assert_eq!(reactor.shared().timers.shard(1).next(), (start + SECOND * 3).as_nanos());

        reactor.shared().clock.advance_to((start + SECOND).as_nanos());
        assert!(!reactor.fire_due(0));
        reactor.shared().clock.advance_to((start + SECOND * 3).as_nanos());
        assert!(reactor.fire_due(1));
        assert_eq!(log.take(), [1]);
        assert!(poll(&mut sleep, &log.waker(1)).is_ready());

        sleep.reset(start + SECOND * 5);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
    }

    #[test]
    fn a_reset_off_the_loop_has_the_task_poll_again() {
        let (reactor, log) = (reactor(1), Log::new());
        let mut sleep = sleep(SECOND);
        {
            let _entered = reactor.enter(0);
            assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        }
        sleep.reset(Instant::now() + SECOND * 2);
        assert_eq!(log.take(), [1]);
        let _entered = reactor.enter(0);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
    }

    #[test]
    fn for_ever_is_no_deadline() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        assert!(poll(&mut sleep(Duration::MAX), &log.waker(1)).is_pending());
        assert_eq!(reactor.shared().timers.next_deadline(), u64::MAX);
    }

    #[test]
    fn with_a_value() {
        let log = Log::new();
        let mut sleep = sleep_with(Duration::ZERO, "value");
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        assert_eq!(poll(&mut sleep, &log.waker(1)), Poll::Ready("value"));
    }

    #[test]
    fn a_delivery_suspends_a_sleep_that_has_ended_and_takes_nothing() {
        let (reactor, log) = (reactor(1), Log::new());
        let _entered = reactor.enter(0);
        clock::pause();
        let mut sleep = sleep(SECOND);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        reactor.shared().clock.advance_to(sleep.deadline().unwrap().as_nanos());
        reactor.fire_due(0);
        log.take();

        let task = &0u64;
        // SAFETY: nothing here follows the address.
        let guard =
            unsafe { kumihimo_context::enter(std::ptr::from_ref(task).cast(), kumihimo_context::UNLIMITED) };
        guard.deliver(None, false);
        assert!(poll(&mut sleep, &log.waker(1)).is_pending());
        assert!(guard.ending().cancelled);
        drop(guard);
        assert_eq!(log.take(), [1]);
        assert!(poll(&mut sleep, &log.waker(1)).is_ready());
    }

    #[test]
    fn sleeps_go_where_tasks_go() {
        fn assert_all<T: Send + Sync + Unpin + 'static>() {}
        assert_all::<Sleep>();
        assert_all::<SleepWith<String>>();
        assert!(size_of::<Sleep>() <= 40);
    }
}
