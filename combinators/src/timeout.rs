//! `timeout` and `timeout_at`: a deadline around a block of code.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kumihimo_context::{CancelledError, Forward, Scoped, discard};
use kumihimo_executor::{Scheduler, TaskHandle, current_task, links_here};
use kumihimo_reactor::{Instant, Timer};
use pin_project_lite::pin_project;

use crate::TimeoutError;
use crate::part::Part;
use crate::sync::{Mutex, MutexGuard};

/// Runs a block of code, and cancels what it awaits if it takes longer than `limit`; `None` is no limit.
///
/// It is `async with asyncio.timeout(..) as t`. The time runs from the first poll. When it is over, a cancellation arrives at
/// the await at which the block is suspended; the block may clean up, awaiting what it needs, for as long as it takes: the
/// time-out strikes once. When the cancellation leaves the block, it becomes a [`TimeoutError`]. A block that swallows it, and
/// returns, has its value returned.
///
/// | waits for | when the time is over | who is cancelled | returns |
/// |---|---|---|---|
/// | the block, clean-up included | cancels what the block awaits | the block; a task that it awaits | the block's value, or `Err(TimeoutError)` |
///
/// The block gets a [`Timeout`], to look at its deadline and to move it. No new task is made, and the block may borrow.
///
/// # Cancellation
///
/// A cancellation of the task is delivered inside of the block and goes on behind it: it is not turned into a `TimeoutError`,
/// also if the time is over as well.
///
/// # Panics
///
/// When polled outside of a task of a running loop.
///
/// ```
/// use std::time::Duration;
/// use kumihimo_combinators::{TimeoutError, timeout};
/// use kumihimo_reactor::sleep;
///
/// # use std::{any::Any, sync::Arc};
/// # use kumihimo_executor::{Builder, Driver, Turn};
/// # use kumihimo_reactor::{self as reactor, Reactor};
/// # struct Clock(Reactor);
/// # impl Driver for Clock {
/// #     fn enter(&self, worker: usize) -> Box<dyn Any> { Box::new(self.0.enter(worker)) }
/// #     fn turn(&self, turn: Turn) {
/// #         self.0.turn(if turn == Turn::Poll { reactor::Turn::Poll } else { reactor::Turn::Wait });
/// #     }
/// #     fn interrupt(&self) { self.0.interrupt() }
/// #     fn fire_due(&self, worker: usize) { self.0.fire_due(worker); }
/// #     fn before_park(&self, worker: usize) { self.0.before_park(worker) }
/// # }
/// # let runtime = Builder::new().current_thread().build(Arc::new(Clock(Reactor::new(1)?)))?;
/// # runtime.block_on(async {
/// let slow = timeout(Duration::from_millis(5), async |_| {
///     sleep(Duration::from_secs(3600)).await;
/// });
/// assert_eq!(slow.await, Err(TimeoutError));
///
/// let quick = timeout(Duration::from_secs(5), async |t| {
///     t.reschedule(None); // The rest may take as long as it likes.
///     "done"
/// });
/// assert_eq!(quick.await, Ok("done"));
/// # }, |_| {}).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "asyncio.timeout")]
pub fn timeout<B, F>(limit: impl Into<Option<Duration>>, block: B) -> WithTimeout<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future,
{
    WithTimeout::new(limit.into().map_or(When::Never, When::After), block)
}

/// As [`timeout`], until the loop's clock shows `when`; `None` is no limit.
///
/// A deadline that has passed strikes when the block first suspends.
///
/// ```
/// use std::time::Duration;
/// use kumihimo_combinators::timeout_at;
/// use kumihimo_reactor::{Instant, sleep};
///
/// # use std::{any::Any, sync::Arc};
/// # use kumihimo_executor::{Builder, Driver, Turn};
/// # use kumihimo_reactor::{self as reactor, Reactor};
/// # struct Clock(Reactor);
/// # impl Driver for Clock {
/// #     fn enter(&self, worker: usize) -> Box<dyn Any> { Box::new(self.0.enter(worker)) }
/// #     fn turn(&self, turn: Turn) {
/// #         self.0.turn(if turn == Turn::Poll { reactor::Turn::Poll } else { reactor::Turn::Wait });
/// #     }
/// #     fn interrupt(&self) { self.0.interrupt() }
/// #     fn fire_due(&self, worker: usize) { self.0.fire_due(worker); }
/// #     fn before_park(&self, worker: usize) { self.0.before_park(worker) }
/// # }
/// # let runtime = Builder::new().current_thread().build(Arc::new(Clock(Reactor::new(1)?)))?;
/// # runtime.block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(5);
/// let late = timeout_at(deadline, async |_| sleep(Duration::from_secs(3600)).await);
/// assert!(late.await.is_err() && Instant::now() >= deadline);
/// # }, |_| {}).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "asyncio.timeout_at")]
pub fn timeout_at<B, F>(when: impl Into<Option<Instant>>, block: B) -> WithTimeout<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future,
{
    WithTimeout::new(when.into().map_or(When::Never, When::At), block)
}

/// When a time-out that has not begun will strike.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Never,
    /// This long after it begins.
    After(Duration),
    At(Instant),
}

/// A time-out that is in force: asyncio's `Timeout`.
///
/// [`timeout`] gives it to the block. Clones are handles on the same time-out; one that is kept tells whether it
/// [expired](Self::expired) when the block is over.
#[doc(alias = "asyncio.Timeout")]
#[derive(Clone)]
pub struct Timeout(Arc<Shared>);

struct Shared {
    part: Part,
    clock: Mutex<Clock>,
}

/// The time-out's side that is about time. A request is made with the lock held, so that who leaves finds it counted.
#[derive(Debug)]
struct Clock {
    state: State,
    when: Option<Instant>,
    alarm: Alarm,
    /// How often the deadline was moved: an alarm for one of before means nothing. Wraps.
    moved: u32,
}

/// What will tell that the deadline has come.
#[derive(Debug)]
enum Alarm {
    /// There is no deadline.
    None,
    /// The block runs for the first time: a timer is set if it suspends.
    OnSuspension,
    /// Fires at the deadline. It leads back here; whoever leaves takes it out.
    Timer(#[expect(dead_code, reason = "held for its effect")] Timer),
    /// The deadline had passed: a call that needs no timer, only its turn.
    Soon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The block runs, in time.
    Active,
    /// The block was cancelled, and has not ended.
    Expiring,
    /// The block has ended after it was cancelled.
    Expired,
    /// The block has ended in time.
    Finished,
}

impl Timeout {
    /// A time-out of the polling task, which begins now.
    fn enter(when: When, task: TaskHandle) -> Timeout {
        let (when, late) = match when {
            When::Never => (None, false),
            When::After(limit) => (Some(Instant::now().saturating_add(limit)), limit.is_zero()),
            When::At(when) => (Some(when), when <= Instant::now()),
        };
        let clock = Clock { state: State::Active, when, alarm: Alarm::OnSuspension, moved: 0 };
        let shared = Shared { part: Part::new(task, None), clock: Mutex::new(clock) };
        let this = Timeout(Arc::new(shared));
        if late {
            this.reschedule(when);
        }
        this
    }

    /// The block has suspended for the first time.
    fn suspended(&self) {
        let mut clock = self.0.lock();
        if matches!(clock.alarm, Alarm::OnSuspension) {
            clock.alarm = clock.when.map_or(Alarm::None, |when| self.timer(when));
        }
    }

    /// The deadline; `None` if there is none.
    #[doc(alias = "asyncio.Timeout.when")]
    pub fn when(&self) -> Option<Instant> {
        self.0.lock().when
    }

    /// Moves the deadline: later, earlier, or, with `None`, away.
    ///
    /// One that has passed strikes when the block next suspends.
    ///
    /// # Panics
    ///
    /// If the deadline has struck, or the block is over. On a thread that runs no loop.
    #[doc(alias = "asyncio.Timeout.reschedule")]
    #[track_caller]
    pub fn reschedule(&self, when: impl Into<Option<Instant>>) {
        let when = when.into();
        assert!(
            when.is_none() || Scheduler::try_current().is_some(),
            "a time-out was rescheduled on a thread that runs no loop, where no timer can be set: do it in the block"
        );
        let mut clock = self.0.lock();
        let state = clock.state;
        let mut old = Alarm::None;
        if state == State::Active {
            clock.when = when;
            let first = matches!(clock.alarm, Alarm::OnSuspension);
            clock.moved = clock.moved.wrapping_add(1);
            let new = when.map_or(Alarm::None, |when| self.alarm(when, first, clock.moved));
            old = std::mem::replace(&mut clock.alarm, new);
        }
        // A timer's waker leads back here.
        drop(clock);
        drop(old);
        assert!(
            state == State::Active,
            "a time-out that {} was rescheduled: move the deadline while the block runs and is in time",
            if state == State::Finished { "is over" } else { "has expired" },
        );
    }

    /// Whether the deadline has struck: from then on, also when the block is over.
    #[doc(alias = "asyncio.Timeout.expired")]
    pub fn expired(&self) -> bool {
        matches!(self.0.lock().state, State::Expiring | State::Expired)
    }

    /// Has the time-out strike at `when`. `first`: the block has not suspended yet.
    fn alarm(&self, when: Instant, first: bool, moved: u32) -> Alarm {
        let late = when <= Instant::now();
        if late && let Some(scheduler) = Scheduler::try_current() {
            let this = self.0.clone();
            scheduler.call_soon(Box::new(move || this.expire(moved)));
            return Alarm::Soon;
        }
        if first { Alarm::OnSuspension } else { self.timer(when) }
    }

    fn timer(&self, when: Instant) -> Alarm {
        Alarm::Timer(Timer::new(when, Waker::from(self.0.clone())))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock()
    }

    /// The deadline has come, unless it was moved meanwhile. On several threads a timer may fire while it is.
    fn expire(&self, moved: u32) {
        let mut clock = self.lock();
        let late = clock.when.is_some_and(|when| when <= Instant::now());
        if clock.state != State::Active || clock.moved != moved || !late {
            return;
        }
        clock.state = State::Expiring;
        let alarm = std::mem::replace(&mut clock.alarm, Alarm::None);
        // Where requests follow links, what is awaited may end at once, and wake anybody, who may look at this.
        let held = (!links_here()).then_some(clock);
        let wake = self.part.request();
        drop(held);
        drop(alarm);
        if wake {
            self.part.wake();
        }
    }

    /// The block is over. If it was cancelled, that request is taken back: whether it was the only one is returned.
    fn leave(&self) -> Option<bool> {
        let mut clock = self.lock();
        let alarm = std::mem::replace(&mut clock.alarm, Alarm::None);
        let alone = match clock.state {
            State::Active => {
                clock.state = State::Finished;
                None
            }
            State::Expiring => {
                clock.state = State::Expired;
                Some(self.part.take_back())
            }
            State::Expired | State::Finished => None,
        };
        drop(clock);
        drop(alarm);
        self.part.end();
        alone
    }
}

impl Wake for Shared {
    /// The timer fires.
    fn wake(self: Arc<Self>) {
        let moved = self.lock().moved;
        match Scheduler::try_current() {
            Some(scheduler) => scheduler.call_from_timer(Box::new(move || self.expire(moved))),
            None => self.expire(moved),
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = self.0.lock();
        f.debug_struct("Timeout").field("state", &clock.state).field("when", &clock.when).finish()
    }
}

pin_project! {
    /// See [`timeout`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WithTimeout<B, F> {
        // Until the block begins.
        begin: Option<(When, B)>,
        #[pin]
        timed: Timed<F>,
    }
}

impl<B, F> WithTimeout<B, F> {
    fn new(when: When, block: B) -> WithTimeout<B, F> {
        WithTimeout { begin: Some((when, block)), timed: Timed::new() }
    }
}

impl<B: FnOnce(Timeout) -> F, F: Future> Future for WithTimeout<B, F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some((when, block)) = this.begin.take() {
            this.timed.as_mut().enter(when, "timeout", block);
        }
        this.timed.poll(cx)
    }
}

impl<B, F> fmt::Debug for WithTimeout<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTimeout").field("timeout", &self.timed.timeout).finish_non_exhaustive()
    }
}

pin_project! {
    /// A future with a time-out around it.
    pub(crate) struct Timed<F> {
        // From its beginning to its end.
        #[pin]
        inside: Option<F>,
        // From the beginning.
        timeout: Option<Timeout>,
        // It has suspended before.
        suspended: bool,
        // It has ended so.
        raising: Option<CancelledError>,
        // Owes the request that it raises for.
        forward: Forward,
    }

    impl<F> PinnedDrop for Timed<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(timeout) = this.timeout
                && timeout.0.leave() == Some(true)
            {
                // Dropped by other code, or a panic, while it was cancelling: nobody is owed that request any more.
                discard(|| this.inside.set(None));
            }
        }
    }
}

impl<F> Timed<F> {
    pub(crate) fn new() -> Timed<F> {
        Timed { inside: None, timeout: None, suspended: false, raising: None, forward: Forward::new() }
    }

    /// Begins: the time runs.
    pub(crate) fn enter(self: Pin<&mut Self>, when: When, what: &str, inside: impl FnOnce(Timeout) -> F) {
        let task = current_task().unwrap_or_else(|| {
            panic!(
                "{what}() outside of a task: there is nothing that could be cancelled; await it inside of one"
            )
        });
        let mut this = self.project();
        let timeout = this.timeout.insert(Timeout::enter(when, task)).clone();
        this.inside.set(Some(inside(timeout)));
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.raising.is_none() {
            let timeout = this.timeout.as_ref().expect("polled after its beginning");
            let shared = &timeout.0;
            let mut inside = this.inside.as_mut();
            let polled = shared.part.poll(cx, |cx| {
                inside.as_mut().as_pin_mut().expect("a time-out was polled after its end").poll(cx)
            });
            match polled {
                Scoped::Pending => {
                    if !std::mem::replace(this.suspended, true) {
                        timeout.suspended();
                    }
                    return Poll::Pending;
                }
                Scoped::Ready(value) => {
                    this.inside.set(None);
                    shared.leave();
                    return Poll::Ready(Ok(value));
                }
                Scoped::Cancelled(error) => {
                    discard(|| this.inside.set(None));
                    if shared.leave() == Some(true) {
                        return Poll::Ready(Err(TimeoutError));
                    }
                    this.forward.owe(&error);
                    *this.raising = Some(error);
                }
            }
        }
        raise(this.raising.clone().expect("just checked"), cx)
    }
}

/// Raises a cancellation.
pub(crate) fn raise<T>(error: CancelledError, cx: &mut Context<'_>) -> Poll<T> {
    let raise = std::pin::pin!(error.raise());
    raise.poll(cx).map(|never| never)
}
