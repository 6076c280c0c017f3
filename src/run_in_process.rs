//! `EventLoop::run_in_process`.

use kumihimo_blocking_pool::process::{ProcessError, ProcessPoolExecutor};
use kumihimo_executor::Task;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event_loop::EventLoop;

impl EventLoop {
    /// Runs a function in another process: asyncio's `run_in_executor` with a process pool.
    ///
    /// It is submitted now, not when the task is awaited. Several arguments go as a tuple.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// fn cpu_bound((from, to): (u64, u64)) -> u64 {
    ///     (from..to).map(|i| i * i).sum()
    /// }
    ///
    /// asyncio::run(async {
    ///     let pool = asyncio::ProcessPoolExecutor::new(1)?;
    ///     let event_loop = asyncio::get_running_loop();
    ///     let sum = event_loop.run_in_process(&pool, cpu_bound, (0, 50)).await?;
    ///     assert_eq!(sum, 40_425);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })
    /// # .unwrap();
    /// ```
    ///
    /// # Cancellation
    ///
    /// Cancelling the task withdraws a call that has not begun. One that has begun runs to its end, and its result is dropped.
    ///
    /// # Errors
    ///
    /// The task gives what [`ProcessPoolExecutor::submit`] gives.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.run_in_executor")]
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn run_in_process<A, R>(
        &self,
        pool: &ProcessPoolExecutor,
        f: fn(A) -> R,
        argument: A,
    ) -> Task<Result<R, ProcessError>>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.create_task(pool.submit(f, argument))
    }

    /// As [`run_in_process`](Self::run_in_process), for a function without arguments.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.run_in_executor")]
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn run_in_process0<R>(
        &self,
        pool: &ProcessPoolExecutor,
        f: fn() -> R,
    ) -> Task<Result<R, ProcessError>>
    where
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.create_task(pool.submit0(f))
    }
}
