//! Blocking functions in executors: `run_in_executor`, and the loop's default executor.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kumihimo_blocking_pool::{
    DefaultExecutor, Executor, ExecutorError, Job, Shutdown, ThreadPoolExecutor, submit_to,
};
use kumihimo_combinators::TimeoutError;
use kumihimo_executor::Task;
use kumihimo_reactor::sleep;

use crate::event_loop::EventLoop;

/// An executor for [`EventLoop::run_in_executor`]: `None`, the loop's default executor; a `&ThreadPoolExecutor`; or a
/// reference to any other [`Executor`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no executor that closures can be given to",
    note = "there are `None`, `&ThreadPoolExecutor` and references to what implements `Executor`",
    note = "for a `ProcessPoolExecutor` there is `event_loop.run_in_process(&pool, f, argument)`"
)]
pub trait IntoExecutor {
    /// Submits the function.
    #[doc(hidden)]
    fn submit_job<F, T>(self, default: &DefaultExecutor, f: F) -> Result<Job<T>, ExecutorError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;
}

impl IntoExecutor for Option<Infallible> {
    fn submit_job<F, T>(self, default: &DefaultExecutor, f: F) -> Result<Job<T>, ExecutorError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        default.submit(f).map_err(|error| ExecutorError::new(error.without_function()))
    }
}

impl<X: Executor + ?Sized> IntoExecutor for &X {
    fn submit_job<F, T>(self, _default: &DefaultExecutor, f: F) -> Result<Job<T>, ExecutorError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit_to(self, f)
    }
}

impl EventLoop {
    /// Runs a blocking function in an executor; `None` stands for the loop's default executor.
    ///
    /// It is submitted now, not when the task is awaited. It sees none of the context variables that are current here:
    /// [`to_thread`](crate::to_thread) carries them over. A panic of the function goes on where the task is awaited.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// asyncio::run(async {
    ///     let event_loop = asyncio::get_running_loop();
    ///     let text = event_loop.run_in_executor(None, || std::fs::read_to_string("Cargo.toml"));
    ///     let pool = asyncio::ThreadPoolExecutor::new(1);
    ///     let sum = event_loop.run_in_executor(&pool, || (1..=10).sum::<u32>());
    ///     assert!(text.await?.contains("kumihimo"));
    ///     assert_eq!(sum.await, 55);
    ///     std::io::Result::Ok(())
    /// }).unwrap();
    /// ```
    ///
    /// # Cancellation
    ///
    /// A cancelled task withdraws a function that has not begun: it never runs. One that has begun can't be stopped: it
    /// runs to its end, and its result is dropped in the executor's thread. If the executor withdraws the function (a
    /// shutdown with `cancel_pending`, say), the task is cancelled.
    ///
    /// # Panics
    ///
    /// If the loop is closed, or the executor refuses the function, as it was shut down or is broken;
    /// [`try_run_in_executor`](Self::try_run_in_executor) gives the latter as a value.
    #[doc(alias = "asyncio.loop.run_in_executor")]
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn run_in_executor<X, F, T>(&self, executor: X, f: F) -> Task<T>
    where
        X: IntoExecutor,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_run_in_executor(executor, f) {
            Ok(task) => task,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`run_in_executor`](Self::run_in_executor) that does not panic where the executor refuses the function.
    ///
    /// # Errors
    ///
    /// If the executor refuses the function; it is dropped.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.run_in_executor")]
    #[track_caller]
    pub fn try_run_in_executor<X, F, T>(&self, executor: X, f: F) -> Result<Task<T>, ExecutorError>
    where
        X: IntoExecutor,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        assert!(!self.is_closed(), "the event loop is closed: nobody could be told of a function's end");
        let job = executor.submit_job(self.default_executor(), f)?;
        Ok(self.create_task(job))
    }

    /// Makes a thread pool the loop's default executor, for [`to_thread`](crate::to_thread) and `run_in_executor(None, ..)`
    /// from now on.
    ///
    /// What the old one was given, it still runs. The pool that is the default when the loop ends is shut down then, and
    /// [`run`](crate::run) waits for its jobs. After
    /// [`shutdown_default_executor`](Self::shutdown_default_executor) it has no effect.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// asyncio::run(async {
    ///     let pool = asyncio::ThreadPoolExecutor::builder().max_workers(2).thread_name("disk").build();
    ///     asyncio::get_running_loop().set_default_executor(pool);
    ///     let name = asyncio::to_thread(|| std::thread::current().name().map(str::to_owned)).await;
    ///     assert_eq!(name.as_deref(), Some("disk-0"));
    /// });
    /// ```
    #[doc(alias = "asyncio.loop.set_default_executor")]
    pub fn set_default_executor(&self, pool: ThreadPoolExecutor) {
        self.default_executor().set(pool);
    }

    /// Shuts the default executor down for good, and waits until its last job has ended, for `timeout` at most.
    ///
    /// Nothing happens before the future is awaited. From then on `to_thread` and `run_in_executor(None, ..)` panic, as
    /// the executor shutdown has been called; jobs that were submitted before, also those that have not begun, run to
    /// their end, whether or not anybody waits. [`run`](crate::run) does this by itself at its end, with five minutes'
    /// patience; it is for loops that are run by hand. A paused clock stands still meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kumihimo as asyncio;
    ///
    /// let event_loop = asyncio::new_event_loop();
    /// let job = event_loop.run_in_executor(None, || 6 * 7);
    /// event_loop.run_until_complete(event_loop.shutdown_default_executor(Some(Duration::from_secs(60))))?;
    /// assert_eq!(event_loop.run_until_complete(job), 42);
    /// event_loop.close();
    /// # Ok::<(), asyncio::TimeoutError>(())
    /// ```
    ///
    /// # Cancellation
    ///
    /// Ends the waiting only.
    ///
    /// # Errors
    ///
    /// If jobs still run after `timeout`, of which asyncio warns: they run on.
    #[doc(alias = "asyncio.loop.shutdown_default_executor")]
    pub fn shutdown_default_executor(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), TimeoutError>> + Send + use<> {
        let executor = self.default_executor().clone();
        async move { ended_within(executor.shutdown(), timeout).await }
    }
}

/// Waits for the end of a pool, for `limit` at most.
pub(crate) async fn ended_within(shutdown: Shutdown, limit: Option<Duration>) -> Result<(), TimeoutError> {
    let Some(limit) = limit else {
        shutdown.await;
        return Ok(());
    };
    let (mut shutdown, mut patience) = (pin!(shutdown), pin!(sleep(limit)));
    poll_fn(|cx| match shutdown.as_mut().poll(cx) {
        Poll::Pending => patience.as_mut().poll(cx).map(|_| Err(TimeoutError)),
        Poll::Ready(()) => Poll::Ready(Ok(())),
    })
    .await
}
