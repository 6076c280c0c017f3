//! `run_coroutine_threadsafe`: a task of a loop, for a thread outside of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kumihimo_executor::{CallbackId, Observer, PanicError, Scheduler, Task, TaskError, TaskHandle};

use crate::event_loop::EventLoop;

/// Starts a task in a loop, from a thread outside of it, which can block until the task has ended.
///
/// The task starts whether or not anybody waits, as soon as the loop runs. Its context variables are a copy of the calling
/// thread's. Within a loop's own tasks use [`create_task`](crate::create_task) and `await`.
///
/// ```
/// use kumihimo as asyncio;
///
/// async fn answer() -> u32 {
///     asyncio::yield_now().await;
///     42
/// }
///
/// let event_loop = asyncio::get_event_loop();
/// let outside = {
///     let event_loop = event_loop.clone();
///     move || asyncio::run_coroutine_threadsafe(answer(), &event_loop).result(None)
/// };
/// let found = event_loop.run_until_complete(asyncio::to_thread(outside));
/// assert_eq!(found.unwrap(), 42);
/// event_loop.close();
/// ```
///
/// # Panics
///
/// If the loop is closed.
#[doc(alias = "asyncio.run_coroutine_threadsafe")]
#[track_caller]
pub fn run_coroutine_threadsafe<F>(future: F, event_loop: &EventLoop) -> ConcurrentFuture<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut task = event_loop.create_task(future);
    let bell = Arc::new(Bell::default());
    if task.observe(bell.clone(), 0).is_some() {
        bell.ring();
    }
    ConcurrentFuture {
        task,
        bell,
        scheduler: event_loop.scheduler().clone(),
        cancelled: AtomicBool::new(false),
    }
}

/// A task of a loop as threads outside of it see it; made by [`run_coroutine_threadsafe`].
///
/// Dropping it does not cancel the task.
#[doc(alias = "concurrent.futures.Future")]
#[must_use = "dropping it detaches the task; ask for its result, or use `drop` to say that this is meant"]
pub struct ConcurrentFuture<T> {
    task: Task<T>,
    /// Rings when the task has ended, also if it does so as its loop closes.
    bell: Arc<Bell>,
    /// Whose task it is, to find out who must not wait for it.
    scheduler: Scheduler,
    /// `cancel` was called in time: there is no result, whatever the task makes of it.
    cancelled: AtomicBool,
}

impl<T> ConcurrentFuture<T> {
    /// Blocks the calling thread until the task has ended, or until `timeout` (real time, whatever the loop's clock says)
    /// has passed; `None` waits for as long as it takes. The value can be had once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kumihimo as asyncio;
    ///
    /// let event_loop = asyncio::new_event_loop();
    /// let mut future = asyncio::run_coroutine_threadsafe(async { 1 }, &event_loop);
    /// // Nobody runs the loop.
    /// let result = future.result(Some(Duration::from_millis(1)));
    /// assert!(matches!(result, Err(asyncio::ConcurrentError::TimedOut)));
    /// event_loop.close();
    /// assert!(matches!(future.result(None), Err(asyncio::ConcurrentError::Cancelled)));
    /// ```
    ///
    /// # Errors
    ///
    /// Why there is no value; [`ConcurrentError::TimedOut`] if there is none yet: then it can be asked for again.
    ///
    /// # Panics
    ///
    /// - On a worker of the task's own loop, unless the task has ended: the loop would wait for itself.
    /// - If the value was had before.
    #[doc(alias = "concurrent.futures.Future.result")]
    #[track_caller]
    pub fn result(&mut self, timeout: Option<Duration>) -> Result<T, ConcurrentError> {
        if self.cancelled.load(Relaxed) {
            return Err(ConcurrentError::Cancelled);
        }
        if !self.task.done() {
            assert!(
                !self.scheduler.is_current(),
                "result() would block the event loop that runs the task: await a task of create_task() here, and use \
                 run_coroutine_threadsafe() on threads outside of the loop"
            );
            if !self.bell.wait(timeout) {
                return Err(ConcurrentError::TimedOut);
            }
        }
        match self.task.try_take().expect("the task has ended") {
            Ok(value) => Ok(value),
            Err(TaskError::Cancelled(_)) => Err(ConcurrentError::Cancelled),
            Err(TaskError::Panicked(error)) => Err(ConcurrentError::Panicked(error)),
        }
    }

    /// Cancels the task, unless it has ended: true if there never is a result.
    ///
    /// From then on the future is [cancelled](Self::cancelled), at once and also if the task catches the cancellation
    /// and goes on.
    #[doc(alias = "concurrent.futures.Future.cancel")]
    pub fn cancel(&self) -> bool {
        // Relaxed: the flag stands for itself.
        if !self.cancelled.load(Relaxed) && self.task.cancel() {
            self.cancelled.store(true, Relaxed);
        }
        self.cancelled()
    }

    /// Whether the future was cancelled, from here or in the loop; a task that its closing loop left unfinished counts as
    /// cancelled.
    #[doc(alias = "concurrent.futures.Future.cancelled")]
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Relaxed) || self.task.cancelled()
    }

    /// Whether the task has ended, or the future was cancelled.
    #[doc(alias = "concurrent.futures.Future.done")]
    pub fn done(&self) -> bool {
        self.cancelled.load(Relaxed) || self.task.done()
    }

    /// Has `callback` called when the task has ended; soon, if it has ended already.
    ///
    /// It is called by the task's loop, as [`TaskHandle::add_done_callback`] has it; if the loop closes before, it is
    /// dropped.
    #[doc(alias = "concurrent.futures.Future.add_done_callback")]
    pub fn add_done_callback(&self, callback: impl FnOnce(&TaskHandle) + Send + 'static) -> CallbackId {
        self.task.add_done_callback(callback)
    }

    /// The task, for those who need its name or want to cancel it from elsewhere.
    pub fn handle(&self) -> TaskHandle {
        self.task.handle()
    }
}

impl<T> fmt::Debug for ConcurrentFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentFuture")
            .field("task", &self.task)
            .field("cancelled", &self.cancelled())
            .finish_non_exhaustive()
    }
}

/// Lets threads wait for a task's end.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.lock() = true;
        self.rings.notify_all();
    }

    /// Blocks until it has rung (true), or until the limit has passed (false).
    fn wait(&self, limit: Option<Duration>) -> bool {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut rung = self.lock();
        while !*rung {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            rung = self.rings.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing panics under the lock.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Bell {
    fn ended(&self, _index: usize, _with_value: bool) {
        self.ring();
    }
}

/// Why a [`ConcurrentFuture`] gives no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConcurrentError {
    /// The future or its task was cancelled, or the loop closed before the task had ended.
    Cancelled,
    /// The task panicked.
    Panicked(PanicError),
    /// The task had not ended when a [`result(timeout)`](ConcurrentFuture::result) gave up. It goes on.
    TimedOut,
}

impl fmt::Display for ConcurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConcurrentError::Cancelled => {
                f.write_str("the task was cancelled, or its event loop was closed before it had ended")
            }
            ConcurrentError::Panicked(error) => fmt::Display::fmt(error, f),
            ConcurrentError::TimedOut => f.write_str(
                "the time-out expired before the task had ended: it goes on; ask for its result again, or cancel it",
            ),
        }
    }
}

impl std::error::Error for ConcurrentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConcurrentError::Panicked(error) => Some(error),
            _ => None,
        }
    }
}
