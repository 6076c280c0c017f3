//! The settings of a pool.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::counts::MAX_THREADS;
use crate::thread_pool::ThreadPoolExecutor;
use crate::worker::{Config, Shared};

/// How long a thread without work stays, unless told otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// More workers than this are never taken by default; as in `concurrent.futures`.
const MAX_DEFAULT_WORKERS: usize = 32;

/// The settings of a [`ThreadPoolExecutor`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    config: Config,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        // The standard library's count respects affinity and cgroup quotas.
        let cores = available_parallelism().map_or(1, usize::from);
        Builder {
            config: Config {
                max_workers: (cores + 4).min(MAX_DEFAULT_WORKERS),
                keep_alive: KEEP_ALIVE,
                thread_name: "kumihimo-pool".into(),
                stack_size: None,
                initializer: None,
            },
        }
    }

    /// How many threads there may be at most. By default four more than there are cores, but not above 32.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn max_workers(mut self, n: usize) -> Builder {
        assert!(n > 0, "a thread pool needs at least one worker: `max_workers` must be greater than zero");
        self.config.max_workers = n.min(MAX_THREADS);
        self
    }

    /// How long a thread that has nothing to do waits before it ends. By default ten seconds.
    pub fn keep_alive(mut self, time: Duration) -> Builder {
        self.config.keep_alive = time;
        self
    }

    /// What the names of the threads begin with; a number follows. By default `kumihimo-pool`.
    ///
    /// Linux shows the first 15 bytes.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[doc(alias = "thread_name_prefix")]
    #[track_caller]
    pub fn thread_name(mut self, name: impl Into<String>) -> Builder {
        self.config.thread_name = name.into();
        assert!(!self.config.thread_name.contains('\0'), "a thread's name can't contain a zero byte");
        self
    }

    /// The size of the threads' stacks, in bytes. By default what the standard library takes (2 MiB).
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.config.stack_size = Some(bytes);
        self
    }

    /// Called in each thread before its first job, and before that of one that replaces it.
    ///
    /// If it panics the pool is [broken](crate::BrokenThreadPool): jobs that have not begun fail, and nothing can be
    /// submitted any more.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use kumihimo_blocking_pool::{JobError, ThreadPoolExecutor};
    ///
    /// thread_local! { static CONNECTION: Cell<u32> = const { Cell::new(0) } }
    ///
    /// let pool = ThreadPoolExecutor::builder().initializer(|| CONNECTION.set(7)).build();
    /// assert_eq!(pool.submit(|| CONNECTION.get()).wait().unwrap(), 7);
    ///
    /// let broken = ThreadPoolExecutor::builder().initializer(|| panic!("no licence")).build();
    /// let error = broken.submit(|| ()).wait().unwrap_err();
    /// assert!(matches!(error, JobError::Broken(why) if why.message() == "no licence"));
    /// ```
    #[doc(alias = "initargs")]
    pub fn initializer(mut self, f: impl Fn() + Send + Sync + 'static) -> Builder {
        self.config.initializer = Some(Arc::new(f));
        self
    }

    /// Makes the pool, which starts its threads when they are needed.
    pub fn build(self) -> ThreadPoolExecutor {
        ThreadPoolExecutor::from_shared(Shared::new(self.config))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("max_workers", &self.config.max_workers)
            .field("keep_alive", &self.config.keep_alive)
            .field("thread_name", &self.config.thread_name)
            .field("stack_size", &self.config.stack_size)
            .field("initializer", &self.config.initializer.is_some())
            .finish()
    }
}
