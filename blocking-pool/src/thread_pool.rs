//! The pool as its users see it.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::clock::{self, Hold};
use crate::counts::MAX_THREADS;
use crate::crew::Crew;
use crate::job::{Job, JobError};
use crate::queue::Queue;
use crate::shutdown::Shutdown;
use crate::slot::Slot;
use crate::sync::AtomicUsize;
use crate::worker::{Config, Shared};

/// How long a thread without work stays, unless told otherwise.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// More workers than this are never taken by default; as in `concurrent.futures`.
const MAX_DEFAULT_WORKERS: usize = 32;

/// Threads that run blocking functions, so that the loop's threads need not.
///
/// Jobs begin in the order in which they were submitted, and run in parallel up to `max_workers`. A thread is started
/// only when a job comes that no idle thread takes, and ends when it has had nothing to do for a while. Clones share
/// one pool. When the last clone is dropped the pool shuts down without anybody waiting: jobs that were submitted are
/// run all the same.
///
/// ```
/// use futures_lite::future::block_on;
/// use kumihimo_blocking_pool::ThreadPool;
///
/// let pool = ThreadPool::builder().max_workers(2).build();
/// let lines = pool.submit(|| "one\ntwo".lines().count());
/// assert_eq!(block_on(lines), 2);
/// ```
#[doc(alias = "concurrent.futures.ThreadPoolExecutor")]
#[doc(alias = "asyncio.loop.run_in_executor")]
#[derive(Clone)]
pub struct ThreadPool {
    /// Shared by the clones, and by nobody else: the threads don't keep the pool open.
    owner: Arc<Owner>,
}

/// Closes the pool when the last handle goes.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.crew.close();
    }
}

impl ThreadPool {
    /// A pool with the default settings.
    pub fn new() -> ThreadPool {
        ThreadPool::builder().build()
    }

    /// A pool with other settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Hands `f` to the pool, which runs it on one of its threads.
    ///
    /// While the job is open, a paused clock of the loop that runs on the calling thread does not advance by itself.
    ///
    /// # Cancellation
    ///
    /// Dropping the job withdraws it if it has not begun; see [`Job`].
    ///
    /// # Panics
    ///
    /// If the pool is shut down; [`try_submit`](Self::try_submit) gives that as a value.
    #[doc(alias = "concurrent.futures.Executor.submit")]
    #[track_caller]
    pub fn submit<F, T>(&self, f: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_submit(f) {
            Ok(job) => job,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`submit`](Self::submit) that does not panic.
    ///
    /// # Errors
    ///
    /// If the pool is shut down: the error gives the function back.
    pub fn try_submit<F, T>(&self, f: F) -> Result<Job<T>, ShutDown<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.is_shut_down() {
            return Err(ShutDown { f });
        }
        self.push(f, clock::hold())
    }

    /// Queues the job and sees to it that a thread gets to it.
    pub(crate) fn push<F, T>(&self, f: F, hold: Option<Hold>) -> Result<Job<T>, ShutDown<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let shared = &self.owner.0;
        let slot = Arc::new(Slot::new(f, hold));
        shared.queue.push(Arc::clone(&slot) as _);
        if !shared.answer(shared.crew.summon()) {
            // Closed at this very moment, so nobody may ever look at the queue. If somebody did, the job stands.
            if let Some(f) = slot.take_back() {
                return Err(ShutDown { f });
            }
        }
        Ok(Job::new(slot))
    }

    /// Shuts the pool down: from now on nothing can be submitted, and threads end as they run out of jobs.
    ///
    /// Jobs that have not begun are still run, or withdrawn if `cancel_queued`; those that run are never interrupted.
    /// The shutdown is under way when this returns; the future is for waiting until it is complete. May be called
    /// again, in particular to withdraw what a first call left queued.
    #[doc(alias = "concurrent.futures.Executor.shutdown")]
    #[doc(alias = "asyncio.loop.shutdown_default_executor")]
    pub fn shutdown(&self, cancel_queued: bool) -> Shutdown {
        let shared = &self.owner.0;
        shared.crew.close();
        if cancel_queued {
            while let Some(job) = shared.queue.pop() {
                job.refuse(JobError::Cancelled);
            }
        }
        Shutdown::new(Arc::clone(shared))
    }

    /// Whether the pool was told to shut down.
    pub fn is_shut_down(&self) -> bool {
        self.owner.0.crew.counts().closed()
    }

    /// How many threads the pool has at this moment.
    pub fn threads(&self) -> usize {
        self.owner.0.crew.counts().threads()
    }

    /// How many threads the pool may have at most.
    pub fn max_workers(&self) -> usize {
        self.owner.0.config.max_workers
    }
}

impl Default for ThreadPool {
    fn default() -> ThreadPool {
        ThreadPool::new()
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("threads", &self.threads())
            .field("max_workers", &self.max_workers())
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}

/// The settings of a [`ThreadPool`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    config: Config,
}

impl Builder {
    fn new() -> Builder {
        // The standard library's count respects affinity and cgroup quotas.
        let cores = available_parallelism().map_or(1, usize::from);
        Builder {
            config: Config {
                max_workers: (cores + 4).min(MAX_DEFAULT_WORKERS),
                keep_alive: KEEP_ALIVE,
                thread_name: "kumihimo-pool".into(),
                stack_size: None,
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

    /// Makes the pool, which starts its threads when they are needed.
    pub fn build(self) -> ThreadPool {
        let shared = Shared {
            queue: Queue::new(),
            crew: Crew::new(self.config.max_workers),
            config: self.config,
            next_name: AtomicUsize::new(0),
        };
        ThreadPool { owner: Arc::new(Owner(Arc::new(shared))) }
    }
}

/// A job was submitted to a pool that is shut down.
pub struct ShutDown<F> {
    /// What was submitted.
    f: F,
}

impl<F> ShutDown<F> {
    /// The function that did not run.
    pub fn into_inner(self) -> F {
        self.f
    }
}

impl<F> fmt::Display for ShutDown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the job was not submitted: its thread pool is shut down; submit before the shutdown (or, for the default \
             pool, before the loop closes), or make another pool",
        )
    }
}

impl<F> fmt::Debug for ShutDown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutDown").finish_non_exhaustive()
    }
}

impl<F> std::error::Error for ShutDown<F> {}
