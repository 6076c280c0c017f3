//! How a runtime is set up.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::runtime::Runtime;
use super::shared::Flavor;
use crate::driver::Driver;
use crate::sleep::MAX_WORKERS;

/// Settings of a runtime.
#[derive(Clone)]
pub struct Builder {
    pub(crate) flavor: Flavor,
    pub(crate) workers: usize,
    pub(crate) thread_name: String,
    pub(crate) hooks: Hooks,
}

/// Called on each worker thread.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// What the user wants done on worker threads.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) start: Option<Hook>,
    pub(crate) stop: Option<Hook>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The default settings: one worker per processor that the process may use (`num_cpus::get()`, which respects
    /// cgroup quotas and affinities).
    pub fn new() -> Builder {
        Builder {
            flavor: Flavor::MultiThread,
            workers: num_cpus::get(),
            thread_name: "kumihimo-worker".to_owned(),
            hooks: Hooks::default(),
        }
    }

    /// The number of workers, the thread that calls `run` included.
    ///
    /// # Panics
    ///
    /// If it is zero, or above 65 535.
    pub fn worker_threads(mut self, workers: usize) -> Builder {
        assert!(
            (1..=MAX_WORKERS).contains(&workers),
            "worker_threads({workers}): a runtime has between 1 and {MAX_WORKERS} workers"
        );
        self.flavor = Flavor::MultiThread;
        self.workers = workers;
        self
    }

    /// Everything on the thread that calls `run`, in asyncio's order.
    pub fn current_thread(mut self) -> Builder {
        self.flavor = Flavor::CurrentThread;
        self.workers = 1;
        self
    }

    /// The name of worker threads; a dash and the worker's number follow.
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.thread_name = name.into();
        self
    }

    /// Called on each worker thread when it starts. The thread that calls `run` is the caller's own.
    pub fn on_thread_start(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.start = Some(Arc::new(f));
        self
    }

    /// Called on each worker thread when it ends.
    pub fn on_thread_stop(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks.stop = Some(Arc::new(f));
        self
    }

    /// The number of workers set.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The flavour set.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Makes the runtime, with its worker threads waiting for the first `block_on`.
    ///
    /// # Errors
    ///
    /// If a thread can't be started.
    pub fn build(self, driver: Arc<dyn Driver>) -> io::Result<Runtime> {
        Runtime::new(self, driver)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavor", &self.flavor)
            .field("workers", &self.workers)
            .field("thread_name", &self.thread_name)
            .finish_non_exhaustive()
    }
}
