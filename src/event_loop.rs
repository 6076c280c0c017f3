//! `EventLoop`: a handle to a loop.

use std::fmt;

use kumihimo_blocking_pool::{self as blocking, ThreadPool};
use kumihimo_executor::{Scheduler, Task, TaskHandle};
use kumihimo_reactor::{Instant, Reactor};

use crate::driver;
use crate::executor::IntoExecutor;

/// A loop: asyncio's `AbstractEventLoop`. Handles are cheap to clone and may be used from any thread.
#[doc(alias = "asyncio.AbstractEventLoop")]
#[derive(Clone)]
pub struct EventLoop {
    scheduler: Scheduler,
    reactor: Reactor,
    pool: ThreadPool,
    debug: bool,
}

/// The loop that runs on this thread.
///
/// ```
/// use kumihimo as asyncio;
///
/// asyncio::run(async {
///     let event_loop = asyncio::get_running_loop();
///     let start = event_loop.time();
///     asyncio::sleep(std::time::Duration::from_millis(1)).await;
///     assert!(event_loop.time() > start);
/// });
/// ```
///
/// # Panics
///
/// If none does: outside of [`run`](crate::run), and in [`to_thread`](crate::to_thread).
#[doc(alias = "asyncio.get_running_loop")]
#[track_caller]
pub fn get_running_loop() -> EventLoop {
    try_get_running_loop().expect(
        "get_running_loop() was called without a running event loop: call it inside of asyncio::run(..), on one of its \
         threads, or use try_get_running_loop()",
    )
}

/// The loop that runs on this thread, if one does.
#[doc(alias = "asyncio.get_running_loop")]
pub fn try_get_running_loop() -> Option<EventLoop> {
    let scheduler = Scheduler::try_current()?;
    Some(EventLoop::new(scheduler, Reactor::current()?, blocking::current()?, driver::is_debug()))
}

impl EventLoop {
    pub(crate) fn new(scheduler: Scheduler, reactor: Reactor, pool: ThreadPool, debug: bool) -> EventLoop {
        EventLoop { scheduler, reactor, pool, debug }
    }

    /// The loop's clock: monotonic, and what all deadlines are measured by.
    #[doc(alias = "asyncio.loop.time")]
    pub fn time(&self) -> Instant {
        self.reactor.now()
    }

    /// Schedules a future as a task of this loop, from any thread.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.create_task")]
    #[track_caller]
    pub fn create_task<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future)
    }

    /// Runs a blocking function in an executor; `None` stands for the loop's default thread pool.
    ///
    /// It is submitted now, not when the task is awaited.
    ///
    /// # Panics
    ///
    /// If the executor was shut down.
    #[doc(alias = "asyncio.loop.run_in_executor")]
    #[track_caller]
    pub fn run_in_executor<X, F, T>(&self, executor: X, f: F) -> Task<T>
    where
        X: IntoExecutor,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.create_task(executor.submit(&self.pool, f))
    }

    /// The tasks of this loop that have not ended.
    #[doc(alias = "asyncio.all_tasks")]
    pub fn all_tasks(&self) -> Vec<TaskHandle> {
        self.scheduler.all_tasks()
    }

    /// Whether the loop is running.
    #[doc(alias = "asyncio.loop.is_running")]
    pub fn is_running(&self) -> bool {
        self.scheduler.is_running()
    }

    /// Whether the loop is closed.
    #[doc(alias = "asyncio.loop.is_closed")]
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed()
    }

    /// Whether the loop was set up in debug mode.
    #[doc(alias = "asyncio.loop.get_debug")]
    pub fn get_debug(&self) -> bool {
        self.debug
    }
}

impl PartialEq for EventLoop {
    fn eq(&self, other: &EventLoop) -> bool {
        self.scheduler == other.scheduler
    }
}

impl Eq for EventLoop {}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("scheduler", &self.scheduler)
            .field("running", &self.is_running())
            .field("closed", &self.is_closed())
            .finish()
    }
}
