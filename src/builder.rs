//! `Runner::builder()`.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kumihimo_blocking_pool::{DefaultExecutor, ThreadPoolExecutor};
use kumihimo_executor::{self as executor, Runtime};
use kumihimo_reactor::Reactor;

use crate::ctrl_c::CtrlC;
use crate::driver::LoopDriver;
use crate::runner::Runner;

/// Settings of a [`Runner`]; made by [`Runner::builder`].
#[derive(Clone)]
pub struct Builder {
    executor: executor::Builder,
    max_blocking_threads: Option<usize>,
    blocking_keep_alive: Option<Duration>,
    handle_sigint: bool,
    start_paused: bool,
    debug: bool,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            executor: executor::Builder::new(),
            max_blocking_threads: None,
            blocking_keep_alive: None,
            handle_sigint: true,
            start_paused: false,
            debug: false,
        }
    }

    /// The number of threads that run tasks, the one that calls `run` included.
    ///
    /// Default: as many as the process may use processors, cgroup quotas respected.
    ///
    /// # Panics
    ///
    /// If it is zero, or above 65 535.
    pub fn worker_threads(mut self, workers: usize) -> Builder {
        self.executor = self.executor.worker_threads(workers);
        self
    }

    /// Runs every task on the thread that calls `run`, in asyncio's order: for deterministic tests.
    pub fn current_thread(mut self) -> Builder {
        self.executor = self.executor.current_thread();
        self
    }

    /// asyncio's debug mode. It is kept for [`EventLoop::get_debug`](crate::EventLoop::get_debug); the runtime itself does
    /// nothing more for it.
    #[doc(alias = "asyncio.loop.set_debug")]
    pub fn debug(mut self, debug: bool) -> Builder {
        self.debug = debug;
        self
    }

    /// The name of the worker threads; a dash and a number follow. Default: `kumihimo-worker`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.executor = self.executor.thread_name(name);
        self
    }

    /// The most threads of the default executor, for blocking work. Default: asyncio's, `min(32, processors + 4)`.
    ///
    /// # Panics
    ///
    /// `build` panics if it is zero.
    pub fn max_blocking_threads(mut self, threads: usize) -> Builder {
        self.max_blocking_threads = Some(threads);
        self
    }

    /// How long an idle thread for blocking work stays. Default: 10 s.
    pub fn blocking_keep_alive(mut self, time: Duration) -> Builder {
        self.blocking_keep_alive = Some(time);
        self
    }

    /// Called on each worker thread when it starts (not on the thread that calls `run`).
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.executor = self.executor.on_thread_start(f);
        self
    }

    /// Called on each worker thread when it ends (not on the thread that calls `run`).
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.executor = self.executor.on_thread_stop(f);
        self
    }

    /// Whether Ctrl-C cancels the main task, where `run` is called on the process's main thread. Default: yes.
    pub fn handle_sigint(mut self, handle: bool) -> Builder {
        self.handle_sigint = handle;
        self
    }

    /// Begins with a [paused clock](crate::clock::pause). Default: no.
    pub fn start_paused(mut self, paused: bool) -> Builder {
        self.start_paused = paused;
        self
    }

    /// Makes the runner: starts its threads, which wait for the first `run`.
    ///
    /// # Errors
    ///
    /// If the system has no descriptors or threads left for it.
    pub fn build(self) -> io::Result<Runner> {
        let handle_sigint = self.handle_sigint;
        let Parts { runtime, reactor, default_executor, ctrl_c, debug } = self.parts()?;
        Ok(Runner::new(runtime, reactor, default_executor, handle_sigint.then_some(ctrl_c), debug))
    }

    /// What a loop is made of.
    pub(crate) fn parts(self) -> io::Result<Parts> {
        let reactor = Reactor::new(self.executor.workers())?;
        if self.start_paused {
            reactor.pause();
        }
        let mut pool = ThreadPoolExecutor::builder();
        if let Some(threads) = self.max_blocking_threads {
            pool = pool.max_workers(threads);
        }
        if let Some(time) = self.blocking_keep_alive {
            pool = pool.keep_alive(time);
        }
        let default_executor = Arc::new(DefaultExecutor::new(pool.build()));
        let ctrl_c = Arc::new(CtrlC::default());
        let driver = LoopDriver {
            reactor: reactor.clone(),
            default_executor: default_executor.clone(),
            ctrl_c: ctrl_c.clone(),
            debug: self.debug,
        };
        let runtime = self.executor.build(Arc::new(driver))?;
        Ok(Parts { runtime, reactor, default_executor, ctrl_c, debug: self.debug })
    }
}

/// What a loop is made of.
pub(crate) struct Parts {
    pub(crate) runtime: Runtime,
    pub(crate) reactor: Reactor,
    pub(crate) default_executor: Arc<DefaultExecutor>,
    pub(crate) ctrl_c: Arc<CtrlC>,
    pub(crate) debug: bool,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("executor", &self.executor)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("handle_sigint", &self.handle_sigint)
            .field("start_paused", &self.start_paused)
            .finish_non_exhaustive()
    }
}
