//! `wait`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use kumihimo_context::{Leaf, WaitKind};
use kumihimo_executor::{Observation, Observer, TaskHandle};
use kumihimo_reactor::Timer;

use crate::expiry::{Expire, expire_after};
use crate::sync::{Mutex, MutexGuard};
use crate::waitable::{AsTask, Fallible, Waitable, distinct};

/// Waits until tasks have ended, in whatever way, and says which have.
///
/// | waits for | on an error | who is cancelled | returns |
/// |---|---|---|---|
/// | all, or the first: [`return_when`](Wait::return_when), [`first_exception`](Wait::first_exception) | an `Err`, a panic, a cancellation stay with their task | nobody, not with the awaiter either | then, or when the [time](Wait::timeout) is up |
///
/// Takes a vector or an array of tasks or futures (which become tasks now, not when the wait is awaited), and gives the
/// tasks back: those that have ended and those that have not, each list in the order given. A task that was given twice
/// counts once. Waiting does not count as looking at how a task ended: a panic that nobody awaits is still reported.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver, create_task};
/// use kumihimo_combinators::{FirstCompleted, wait};
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let quick = create_task(async { "quick" });
/// let never = create_task(std::future::pending::<&str>());
/// let both = wait(vec![never, quick]).return_when(FirstCompleted).await;
/// for task in both.done {
///     assert_eq!(task.await, "quick");
/// }
/// both.pending[0].cancel();
/// # }, |_| {}).unwrap();
/// ```
///
/// # Cancellation
///
/// Is for the awaiter alone: the tasks go on. A wait that is cancelled or dropped gives nothing back, so tasks that were
/// given away are detached. Lend them, to keep them; [`Done`] then holds references:
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver, create_task};
/// # use kumihimo_combinators::{FirstCompleted, wait};
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let tasks = [create_task(async { 1 }), create_task(async { 2 })];
/// let mut pending: Vec<_> = tasks.iter().collect();
/// while !pending.is_empty() {
///     let round = wait(&pending).return_when(FirstCompleted).await;
///     for task in round.done {
///         assert!(task.done());
///     }
///     pending = round.pending;
/// }
/// # }, |_| {}).unwrap();
/// ```
///
/// # Panics
///
/// If there are no tasks. Given futures, outside of a running loop. When polled again after it has returned.
#[doc(alias = "asyncio.wait")]
#[track_caller]
pub fn wait<W: Waitable>(tasks: W) -> Wait<W::Task> {
    let tasks = distinct(tasks.into_tasks());
    assert!(
        !tasks.is_empty(),
        "wait() was given no tasks, of which none could ever be done: call it only while there are some"
    );
    Wait {
        tasks,
        until: Until::AllEnded,
        observe: observe::<W::Task>,
        timeout: None,
        watch: None,
        leaf: Leaf::new(),
    }
}

/// When [`wait`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReturnWhen {
    /// As soon as a task has ended; several may have.
    #[doc(alias = "asyncio.FIRST_COMPLETED")]
    FirstCompleted,
    /// When all tasks have ended.
    #[default]
    #[doc(alias = "asyncio.ALL_COMPLETED")]
    AllCompleted,
}

pub use ReturnWhen::{AllCompleted, FirstCompleted};

/// When the wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    OneEnded,
    /// Or all have ended.
    OneFailed,
    AllEnded,
}

/// How a task is observed: so that an `Err` counts as a value, or not.
type Observe<H> = fn(&H, Arc<dyn Observer>, usize) -> Observation;

fn observe<H: AsTask>(task: &H, observer: Arc<dyn Observer>, index: usize) -> Observation {
    task.as_task().observe(observer, index)
}

/// What [`wait`] found: tasks, or references to those that were lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<H> {
    /// The tasks that have ended, in the order in which they were given.
    pub done: Vec<H>,
    /// The others.
    pub pending: Vec<H>,
}

/// See [`wait`].
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Wait<H> {
    /// Each once; none once it has returned.
    tasks: Vec<H>,
    until: Until,
    observe: Observe<H>,
    timeout: Option<Duration>,
    /// From the first poll to the end.
    watch: Option<Watch>,
    leaf: Leaf,
}

impl<H> Wait<H> {
    /// When to return; at first, when all tasks have ended.
    pub fn return_when(self, return_when: ReturnWhen) -> Wait<H> {
        let until = match return_when {
            FirstCompleted => Until::OneEnded,
            AllCompleted => Until::AllEnded,
        };
        Wait { until, ..self }
    }

    /// Returns as soon as a task has failed, with an `Err` or a panic, or all have ended. A task that was cancelled has not
    /// failed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use kumihimo_executor::{Builder, ParkDriver, create_task};
    /// # use kumihimo_combinators::wait;
    /// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
    /// # runtime.block_on(async {
    /// let never = create_task(std::future::pending::<Result<u32, _>>());
    /// let fails = create_task(async { "no number".parse::<u32>() });
    /// let found = wait(vec![never, fails]).first_exception().await;
    /// for failed in found.done {
    ///     assert!(failed.await.is_err());
    /// }
    /// found.pending[0].cancel();
    /// # }, |_| {}).unwrap();
    /// ```
    #[doc(alias = "asyncio.FIRST_EXCEPTION")]
    pub fn first_exception(self) -> Wait<H>
    where
        H: Fallible,
    {
        Wait { until: Until::OneFailed, observe: H::observe_ok, ..self }
    }

    /// Returns after this time, counted from the first poll, in any case. Nothing is cancelled then, and it is no error: the
    /// tasks that have not ended are in [`pending`](Done::pending). `None` is no limit. Zero finds what has ended.
    ///
    /// # Panics
    ///
    /// With a limit, when the wait is polled outside of a running loop.
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> Wait<H> {
        Wait { timeout: timeout.into(), ..self }
    }
}

impl<H: AsTask> Future for Wait<H> {
    type Output = Done<H>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done<H>> {
        let this = self.get_mut();
        ready!(this.leaf.enter(cx));
        assert!(!this.tasks.is_empty(), "a wait was polled after it had returned");
        let watch =
            this.watch.get_or_insert_with(|| Watch::new(&this.tasks, this.until, this.observe, this.timeout));
        if watch.watcher.poll_over(cx).is_pending() {
            this.leaf.wait(WaitKind::Other);
            return Poll::Pending;
        }
        this.watch = None;
        let tasks = std::mem::take(&mut this.tasks);
        let (done, pending) = tasks.into_iter().partition(|task| task.as_task().done());
        Poll::Ready(Done { done, pending })
    }
}

// Nothing in a wait is pinned: the tasks are elsewhere.
impl<H> Unpin for Wait<H> {}

impl<H: fmt::Debug> fmt::Debug for Wait<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("tasks", &self.tasks)
            .field("until", &self.until)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The wait's hold on its watcher; dropping it ends the watch.
struct Watch {
    watcher: Arc<Watcher>,
    _observations: Vec<Observation>,
    _timer: Option<Timer>,
}

impl Watch {
    fn new<H: AsTask>(tasks: &[H], until: Until, observe: Observe<H>, timeout: Option<Duration>) -> Watch {
        let left = if until == Until::OneEnded { 1 } else { tasks.len() };
        let may_fail = match until {
            Until::OneFailed => tasks.iter().map(|task| task.as_task().clone()).collect(),
            _ => Box::default(),
        };
        let watcher = Arc::new(Watcher { may_fail, state: Mutex::new(State { left, waker: None }) });
        let timer = timeout.map(|timeout| expire_after(timeout, &watcher));
        let observe = |(index, task)| observe(task, watcher.clone(), index);
        let observations = tasks.iter().enumerate().map(observe).collect();
        Watch { watcher, _observations: observations, _timer: timer }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // An end that is being told right now wakes nobody any more.
        let waker = self.watcher.lock().waker.take();
        drop(waker);
    }
}

/// Is told of ends, and wakes the wait when there are enough.
struct Watcher {
    /// The tasks, if a failure ends the wait; otherwise none.
    may_fail: Box<[TaskHandle]>,
    state: Mutex<State>,
}

struct State {
    /// Ends that are still to come; zero when the wait is over.
    left: usize,
    /// The wait's, while it waits.
    waker: Option<Waker>,
}

impl Watcher {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        // Cloned and dropped without the lock: a waker of somebody else's may run any code.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if state.left == 0 {
            return Poll::Ready(());
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// `left` says how many ends are left, given how many were.
    fn update(&self, left: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        state.left = left(state.left);
        let waker = if state.left == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Observer for Watcher {
    fn ended(&self, index: usize, with_value: bool) {
        let failed = !with_value && self.may_fail.get(index).is_some_and(|task| !task.cancelled());
        self.update(|left| if failed { 0 } else { left.saturating_sub(1) });
    }
}

impl Expire for Watcher {
    fn expire(&self) {
        self.update(|_| 0);
    }
}
