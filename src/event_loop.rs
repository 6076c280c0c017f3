//! `EventLoop`: a handle to a loop.

use std::fmt;
use std::sync::Arc;

use kumihimo_blocking_pool::{self as blocking, DefaultExecutor};
use kumihimo_executor::{ExceptionContext, ExceptionHandler, Promise, Scheduler, Task, TaskHandle};
use kumihimo_reactor::{Instant, Reactor};

use crate::driver;

/// A loop: asyncio's `AbstractEventLoop`. Handles are cheap to clone and may be used from any thread.
#[doc(alias = "asyncio.AbstractEventLoop")]
#[derive(Clone)]
pub struct EventLoop {
    scheduler: Scheduler,
    reactor: Reactor,
    /// What `run_in_executor(None, ..)` uses.
    default_executor: Arc<DefaultExecutor>,
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
    pub(crate) fn new(
        scheduler: Scheduler,
        reactor: Reactor,
        default_executor: Arc<DefaultExecutor>,
        debug: bool,
    ) -> EventLoop {
        EventLoop { scheduler, reactor, default_executor, debug }
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
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn create_task<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future)
    }

    /// A value that somebody will set: asyncio's `Future`.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.create_future")]
    #[track_caller]
    pub fn create_future<T: Send + 'static>(&self) -> Promise<T> {
        assert!(!self.is_closed(), "the event loop is closed: nobody could be called back by a future of it");
        self.scheduler.create_future()
    }

    /// Sets what is called for failures that reach nobody: panics of callbacks, and of tasks whose end nobody looks at,
    /// among others.
    ///
    /// It must not block; if it panics, the default handler, which writes to the standard error, gets both.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// asyncio::run(async {
    ///     let event_loop = asyncio::get_running_loop();
    ///     event_loop.set_exception_handler(|_, context| println!("lost: {context}"));
    ///     event_loop.call_exception_handler(&asyncio::ExceptionContext::new("a page could not be printed"));
    /// });
    /// ```
    #[doc(alias = "asyncio.loop.set_exception_handler")]
    pub fn set_exception_handler(
        &self,
        handler: impl Fn(&EventLoop, &ExceptionContext) + Send + Sync + 'static,
    ) {
        let scheduler = self.scheduler.downgrade();
        let (reactor, executor, debug) = (self.reactor.clone(), self.default_executor.clone(), self.debug);
        self.scheduler.set_exception_handler(Some(Arc::new(move |context| {
            if let Some(scheduler) = scheduler.upgrade() {
                handler(&EventLoop::new(scheduler, reactor.clone(), executor.clone(), debug), context);
            }
        })));
    }

    /// The exception handler that was set; `None` where the default is in force.
    #[doc(alias = "asyncio.loop.get_exception_handler")]
    pub fn get_exception_handler(&self) -> Option<ExceptionHandler> {
        self.scheduler.exception_handler()
    }

    /// Restores the default exception handler: asyncio's `set_exception_handler(None)`.
    pub fn reset_exception_handler(&self) {
        self.scheduler.set_exception_handler(None);
    }

    /// Calls the exception handler. It never panics.
    #[doc(alias = "asyncio.loop.call_exception_handler")]
    pub fn call_exception_handler(&self, context: &ExceptionContext) {
        self.scheduler.call_exception_handler(context);
    }

    pub(crate) fn default_executor(&self) -> &Arc<DefaultExecutor> {
        &self.default_executor
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Whether this thread is one of the loop's workers.
    pub(crate) fn is_current(&self) -> bool {
        self.scheduler.is_current()
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
