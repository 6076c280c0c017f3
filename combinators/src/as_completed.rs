//! `as_completed`.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::stream::{FusedStream, Stream};
use kumihimo_context::{Leaf, WaitKind};
use kumihimo_executor::{Observation, Observer};
use kumihimo_reactor::Timer;

use crate::TimeoutError;
use crate::expiry::{Expire, expire_after};
use crate::sync::{Mutex, MutexGuard};
use crate::waitable::{AsTask, Waitable, distinct};

/// Gives tasks one after the other, as they end, in whatever way.
///
/// | waits for | on an error | who is cancelled | returns |
/// |---|---|---|---|
/// | the next to end, each turn | an `Err`, a panic, a cancellation stay with their task, and the turns go on | nobody, not with the awaiter either | the task, which has ended; `None` after the last |
///
/// Takes a vector or an array of tasks or futures (which become tasks now), or [lent](Waitable) tasks, and gives the very
/// same tasks. A task that was given twice counts once. Take the turns with [`next`](AsCompleted::next), or as a [`Stream`].
///
/// Whoever stops early can go on later, or [have back](AsCompleted::into_pending) the tasks whose turn has not come. Those
/// run on; tasks that were given away are detached when the iteration is dropped.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver, create_task, yield_now};
/// use kumihimo_combinators::as_completed;
///
/// async fn after(turns: u32, label: &'static str) -> &'static str {
///     for _ in 0..turns {
///         yield_now().await;
///     }
///     label
/// }
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let mut labels = Vec::new();
/// let mut tasks = as_completed([after(9, "slow"), after(3, "quick")]);
/// while let Some(task) = tasks.next().await {
///     labels.push(task.await);
/// }
/// assert_eq!(labels, ["quick", "slow"]);
/// # }, |_| {}).unwrap();
/// ```
///
/// # Cancellation
///
/// Is for the awaiter alone: the tasks go on, and no turn is lost.
///
/// # Panics
///
/// Given futures, outside of a running loop.
#[doc(alias = "asyncio.as_completed")]
#[track_caller]
pub fn as_completed<W: Waitable>(tasks: W) -> AsCompleted<W::Task> {
    AsCompleted { turns: Turns::new(distinct(tasks.into_tasks())), leaf: Leaf::new() }
}

/// See [`as_completed`].
#[must_use = "the tasks run anyway; `next().await` gives the first that has ended"]
pub struct AsCompleted<H> {
    turns: Turns<H>,
    /// The stream's.
    leaf: Leaf,
}

/// [`as_completed`] with a time-out, made by [`AsCompleted::timeout`].
#[must_use = "the tasks run anyway; `next().await` gives the first that has ended"]
pub struct AsCompletedWithin<H> {
    turns: Turns<H>,
    /// The stream's.
    leaf: Leaf,
}

impl<H: AsTask> AsCompleted<H> {
    /// Gives up after this time, counted from now: each turn that is left is a [`TimeoutError`] then. `None` is no limit.
    ///
    /// Nothing is cancelled. Tasks that ended in time, and were not given yet, still are; the others can be
    /// [had back](AsCompletedWithin::into_pending).
    ///
    /// # Panics
    ///
    /// With a limit, outside of a running loop.
    ///
    /// ```no_run
    /// # async fn f() {
    /// use std::time::Duration;
    /// use kumihimo_combinators::as_completed;
    ///
    /// # let downloads: Vec<std::future::Ready<()>> = vec![];
    /// let mut tasks = as_completed(downloads).timeout(Duration::from_secs(5));
    /// while let Some(Ok(task)) = tasks.next().await {
    ///     task.await;
    /// }
    /// for late in tasks.into_pending() {
    ///     late.cancel();
    /// }
    /// # }
    /// ```
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> AsCompletedWithin<H> {
        if let Some(timeout) = timeout.into() {
            self.turns.ends.limit(expire_after(timeout, &self.turns.ends));
        }
        AsCompletedWithin { turns: self.turns, leaf: self.leaf }
    }
}

macro_rules! turns {
    ($($AsCompleted:ident, $Next:ident, $Item:ty, $item:expr;)*) => {$(
        impl<H: AsTask> $AsCompleted<H> {
            /// The next turn; `None` after the last.
            ///
            /// # Cancellation
            ///
            /// Is for the awaiter alone, and the turn is not lost.
            // The name is that of streams.
            #[allow(clippy::should_implement_trait)]
            pub fn next(&mut self) -> $Next<'_, H> {
                $Next { turns: &mut self.turns, leaf: Leaf::new() }
            }

            /// The tasks that were not given yet, in the order in which they were passed in. Some may have ended.
            pub fn pending(&self) -> impl Iterator<Item = &H> {
                self.turns.slots.iter().flatten().map(|slot| &slot.task)
            }

            /// Ends the iteration, and gives the tasks that it has not given yet, in the order in which they were passed in.
            /// Some may have ended.
            pub fn into_pending(self) -> Vec<H> {
                self.turns.slots.into_iter().flatten().map(|slot| slot.task).collect()
            }
        }

        impl<H: AsTask> Stream for $AsCompleted<H> {
            type Item = $Item;

            fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<$Item>> {
                let this = self.get_mut();
                this.turns.poll_turn(&mut this.leaf, cx).map(|turn| turn.map($item))
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.turns.left, Some(self.turns.left))
            }
        }

        impl<H: AsTask> FusedStream for $AsCompleted<H> {
            fn is_terminated(&self) -> bool {
                self.turns.left == 0
            }
        }

        impl<H> Unpin for $AsCompleted<H> {}

        impl<H: fmt::Debug> fmt::Debug for $AsCompleted<H> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let tasks: Vec<_> = self.turns.slots.iter().flatten().map(|slot| &slot.task).collect();
                f.debug_struct(stringify!($AsCompleted)).field("pending", &tasks).finish_non_exhaustive()
            }
        }

        #[doc = concat!("See [`", stringify!($AsCompleted), "::next`].")]
        #[must_use = "a future does nothing unless it is awaited"]
        pub struct $Next<'a, H> {
            turns: &'a mut Turns<H>,
            leaf: Leaf,
        }

        impl<H: AsTask> Future for $Next<'_, H> {
            type Output = Option<$Item>;

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<$Item>> {
                let this = self.get_mut();
                this.turns.poll_turn(&mut this.leaf, cx).map(|turn| turn.map($item))
            }
        }

        impl<H> Drop for $Next<'_, H> {
            fn drop(&mut self) {
                // Nobody waits any more.
                self.turns.ends.forget_waker();
            }
        }

        impl<H> fmt::Debug for $Next<'_, H> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Next)).field("turns", &self.turns.left).finish_non_exhaustive()
            }
        }
    )*};
}

turns! {
    AsCompleted, Next, H, |turn| turn.expect("only a time-out ends a turn without a task");
    AsCompletedWithin, NextWithin, Result<H, TimeoutError>, |turn| turn.ok_or(TimeoutError);
}

/// The tasks that were not given yet, and the turns that are left.
struct Turns<H> {
    /// By the index under which their ends are told; `None` once they were given.
    slots: Vec<Option<Slot<H>>>,
    /// As many as tasks were not given, until the time is up: turns go on then, and tasks stay.
    left: usize,
    ends: Arc<Ends>,
}

struct Slot<H> {
    task: H,
    _observation: Observation,
}

impl<H: AsTask> Turns<H> {
    fn new(tasks: Vec<H>) -> Turns<H> {
        let left = tasks.len();
        let state = State { ended: VecDeque::new(), running: left, expired: false, timer: None, waker: None };
        let ends = Arc::new(Ends(Mutex::new(state)));
        let watch = |(index, task): (usize, H)| {
            let observation = task.as_task().observe(ends.clone(), index);
            Some(Slot { task, _observation: observation })
        };
        let slots = tasks.into_iter().enumerate().map(watch).collect();
        Turns { slots, left, ends }
    }

    /// A turn: a task that has ended, or `None` in place of one if the time is up. No turn after the last.
    fn poll_turn(&mut self, leaf: &mut Leaf, cx: &mut Context<'_>) -> Poll<Option<Option<H>>> {
        ready!(leaf.enter(cx));
        if self.left == 0 {
            leaf.done();
            return Poll::Ready(None);
        }
        let Poll::Ready(end) = self.ends.poll_next(cx) else {
            leaf.wait(WaitKind::Other);
            return Poll::Pending;
        };
        leaf.done();
        self.left -= 1;
        let task = end.map(|index| self.slots[index].take().expect("a task ends once").task);
        Poll::Ready(Some(task))
    }
}

/// Is told of ends, and wakes who waits for the next one.
struct Ends(Mutex<State>);

struct State {
    /// Tasks that have ended and were not given yet, in order.
    ended: VecDeque<usize>,
    /// Tasks that have not.
    running: usize,
    /// The time is up: later ends don't count.
    expired: bool,
    /// While it matters.
    timer: Option<Timer>,
    waker: Option<Waker>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// The next end; `None` if the time is up.
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<usize>> {
        // Cloned and dropped without the lock: a waker of somebody else's may run any code.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(index) = state.ended.pop_front() {
            return Poll::Ready(Some(index));
        }
        if state.expired {
            return Poll::Ready(None);
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    fn forget_waker(&self) {
        let waker = self.lock().waker.take();
        drop(waker);
    }

    /// The timer that will say that the time is up.
    fn limit(&self, timer: Timer) {
        let mut state = self.lock();
        if state.running > 0 && !state.expired {
            state.timer = Some(timer);
            return;
        }
        drop(state);
        drop(timer);
    }

    fn update(&self, update: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if state.expired {
            return;
        }
        update(&mut state);
        let waker = state.waker.take();
        let timer = if state.expired || state.running == 0 { state.timer.take() } else { None };
        drop(state);
        drop(timer);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Observer for Ends {
    fn ended(&self, index: usize, _with_value: bool) {
        self.update(|state| {
            state.ended.push_back(index);
            state.running -= 1;
        });
    }
}

impl Expire for Ends {
    fn expire(&self) {
        self.update(|state| state.expired = true);
    }
}
