//! `Runner`: a loop that runs one main task after the other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kumihimo_blocking_pool::DefaultExecutor;
use kumihimo_executor::{Context, Runtime, TaskError, current_task};
use kumihimo_reactor::Reactor;

use crate::builder::Builder;
use crate::ctrl_c::CtrlC;
use crate::event_loop::EventLoop;
use crate::executor::ended_within;

/// The end of a loop waits for blocking jobs that still run, but not for longer than this; asyncio's figure.
const POOL_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A loop that runs several main tasks in turn: asyncio's `Runner`.
///
/// Tasks that a `run` leaves behind stay as they are, and go on during the next. [`close`](Self::close), or dropping the
/// runner, cancels them and waits for them. A runner stays on the thread that made it.
///
/// ```
/// use kumihimo as asyncio;
///
/// let runner = asyncio::Runner::builder().worker_threads(2).build()?;
/// assert_eq!(runner.run(async { 1 })?, 1);
/// assert_eq!(runner.run(async { 2 })?, 2);
/// runner.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "asyncio.Runner")]
pub struct Runner {
    /// The workers; `None` only while closing.
    runtime: Option<Runtime>,
    /// Time and readiness.
    reactor: Reactor,
    /// The default executor.
    default_executor: Arc<DefaultExecutor>,
    /// Handles Ctrl-C during `run`, if wanted.
    ctrl_c: Option<Arc<CtrlC>>,
    /// asyncio's debug mode.
    debug: bool,
}

impl Runner {
    /// The settings of a runner, to be changed and then [built](Builder::build).
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(
        runtime: Runtime,
        reactor: Reactor,
        default_executor: Arc<DefaultExecutor>,
        ctrl_c: Option<Arc<CtrlC>>,
        debug: bool,
    ) -> Runner {
        Runner { runtime: Some(runtime), reactor, default_executor, ctrl_c, debug }
    }

    /// Runs a future as the main task, on this thread, and gives what it returns.
    ///
    /// It needs to be neither `Send` nor `'static`. Ctrl-C cancels it, if this is the process's main thread.
    ///
    /// # Errors
    ///
    /// If main ended cancelled, or panicked.
    ///
    /// # Panics
    ///
    /// If a loop runs on this thread already.
    #[doc(alias = "asyncio.Runner.run")]
    #[track_caller]
    pub fn run<F: Future>(&self, main: F) -> Result<F::Output, TaskError> {
        self.run_main(None, main)
    }

    #[track_caller]
    fn run_main<F: Future>(&self, context: Option<Context>, main: F) -> Result<F::Output, TaskError> {
        let handling = self.ctrl_c.as_ref().map(|ctrl_c| ctrl_c.handle(self.reactor.clone()));
        // Without Ctrl-C a program works all the same.
        let _handling = handling.and_then(Result::ok).flatten();
        self.runtime().block_on(main, |main| {
            if let Some(context) = context {
                main.set_context(context);
            }
            if let Some(ctrl_c) = &self.ctrl_c {
                ctrl_c.set_main(Some(main.handle()));
            }
        })
    }

    /// As [`run`](Self::run), in this context instead of the runner's own, which one main passes to the next.
    ///
    /// # Errors
    ///
    /// If main ended cancelled, or panicked.
    ///
    /// # Panics
    ///
    /// If a loop runs on this thread already.
    #[doc(alias = "asyncio.Runner.run")]
    #[track_caller]
    pub fn run_in_context<F: Future>(&self, context: Context, main: F) -> Result<F::Output, TaskError> {
        self.run_main(Some(context), main)
    }

    /// The runner's loop.
    #[doc(alias = "asyncio.Runner.get_loop")]
    pub fn get_loop(&self) -> EventLoop {
        let (reactor, default_executor) = (self.reactor.clone(), self.default_executor.clone());
        EventLoop::new(self.runtime().scheduler(), reactor, default_executor, self.debug)
    }

    /// Ends the loop: cancels every task that is left and waits for it, clean-up included; then shuts the
    /// default executor down and waits for its jobs (five minutes at most). Dropping the runner does the same.
    ///
    /// # Panics
    ///
    /// If called inside of a running loop.
    #[doc(alias = "asyncio.Runner.close")]
    pub fn close(self) {}

    /// Whether main was cancelled by Ctrl-C.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.ctrl_c.as_ref().is_some_and(|ctrl_c| ctrl_c.has_cancelled())
    }

    /// Lets workers run without a pause from `run` to the end.
    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime lives as long as the runner")
    }

    pub(crate) fn shut_down(&self) {
        let scheduler = self.runtime().scheduler();
        let left = scheduler.all_tasks();
        let executor = &self.default_executor;
        if left.is_empty() && executor.threads() == 0 {
            drop(executor.shutdown());
            return;
        }
        // The end of this future can't be a cancellation or a panic, so there is no result to look at.
        let _ = self.runtime().block_on(
            async move {
                let this = current_task();
                for task in &left {
                    task.cancel();
                }
                for task in left.iter().filter(|task| Some(*task) != this.as_ref()) {
                    task.wait_end().await;
                }
                for task in &left {
                    task.report_unretrieved("a task failed while the loop was shutting down");
                }
                // What still runs after that runs on: nobody can stop it.
                let _ = ended_within(executor.shutdown(), Some(POOL_PATIENCE)).await;
            },
            |_| {},
        );
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if std::thread::panicking() && kumihimo_executor::is_running() {
            return;
        }
        self.shut_down();
        self.runtime = None;
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}
