//! The pool as its users see it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::builder::Builder;
use crate::clock::{self, Hold};
use crate::executor::{Executor, ExecutorJob};
use crate::job::Job;
use crate::job_error::{BrokenThreadPool, JobError};
use crate::map::Map;
use crate::metrics::PoolMetrics;
use crate::shutdown::Shutdown;
use crate::slot::{Run, Slot};
use crate::submit_error::{SubmitError, Why};
use crate::worker::Shared;

/// Threads that run blocking functions, so that the loop's threads need not.
///
/// Jobs begin in the order in which they were submitted, and run in parallel up to `max_workers`. A thread is started
/// only when a job comes that no idle thread takes, and ends when it has had nothing to do for a while. Clones share
/// one pool. When the last clone is dropped the pool shuts down without anybody waiting: jobs that were submitted are
/// run all the same.
///
/// ```
/// use futures_lite::future::block_on;
/// use kumihimo_blocking_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let lines = pool.submit(|| "one\ntwo".lines().count());
/// assert_eq!(block_on(lines), 2);
/// ```
#[doc(alias = "concurrent.futures.ThreadPoolExecutor")]
#[doc(alias = "asyncio.loop.run_in_executor")]
#[derive(Clone)]
pub struct ThreadPoolExecutor {
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

impl ThreadPoolExecutor {
    /// A pool with at most so many threads, and otherwise the default settings.
    ///
    /// # Panics
    ///
    /// If `max_workers` is zero.
    #[track_caller]
    pub fn new(max_workers: usize) -> ThreadPoolExecutor {
        ThreadPoolExecutor::builder().max_workers(max_workers).build()
    }

    /// A pool with other settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_shared(shared: Shared) -> ThreadPoolExecutor {
        ThreadPoolExecutor { owner: Arc::new(Owner(Arc::new(shared))) }
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
    /// If the pool is shut down or [broken](BrokenThreadPool); [`try_submit`](Self::try_submit) gives that as a value.
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
    /// If the pool is shut down or broken: the error gives the function back.
    pub fn try_submit<F, T>(&self, f: F) -> Result<Job<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.is_shut_down() {
            return Err(self.closed(f));
        }
        self.push(f, clock::hold())
    }

    /// Queues the job and sees to it that a thread gets to it.
    fn push<F, T>(&self, f: F, hold: Option<Hold>) -> Result<Job<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let slot = Arc::new(Slot::new(f, hold));
        if !self.enqueue(Arc::clone(&slot) as _) {
            // Closed at this very moment, so nobody may ever look at the queue. If somebody did, the job stands.
            if let Some(f) = slot.take_back() {
                return Err(self.closed(f));
            }
        }
        Ok(Job::new(slot))
    }

    /// Puts a job into the queue. False if the pool is closed: then nobody promises to look at it.
    #[inline]
    fn enqueue(&self, job: Arc<dyn Run>) -> bool {
        let shared = &self.owner.0;
        shared.queue.push(job);
        shared.answer(shared.crew.summon())
    }

    /// The error of a submission to a pool that was seen to be closed.
    #[cold]
    fn closed<F>(&self, f: F) -> SubmitError<F> {
        SubmitError::new(f, self.broken().map_or(Why::ShutDown, Why::Broken))
    }

    /// Has `f` called with every item, each call a job, and gives the values in the order of the items.
    ///
    /// All of them are submitted now, as `submit` does it; the values wait in [`Map`], which says how they are had.
    ///
    /// ```
    /// use futures_lite::future::block_on;
    /// use kumihimo_blocking_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::default();
    /// block_on(async {
    ///     assert_eq!(pool.map(|n| n * n, [3, 1, 2]).await, [9, 1, 4]);
    ///
    ///     let mut lengths = pool.map(str::len, ["a", "bc"]);
    ///     while let Some(length) = lengths.next().await {
    ///         println!("{length}");
    ///     }
    /// });
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropping the [`Map`] withdraws the calls that have not begun.
    ///
    /// # Panics
    ///
    /// If the pool is shut down or broken, or becomes so meanwhile: what was submitted by then is withdrawn.
    #[doc(alias = "concurrent.futures.Executor.map")]
    #[track_caller]
    pub fn map<F, A, T>(&self, f: F, items: impl IntoIterator<Item = A>) -> Map<T>
    where
        F: Fn(A) -> T + Send + Sync + 'static,
        A: Send + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        let mut jobs = std::collections::VecDeque::new();
        for item in items {
            let f = Arc::clone(&f);
            jobs.push_back(self.submit(move || f(item)));
        }
        Map::new(jobs)
    }

    /// Shuts the pool down: from now on nothing can be submitted, and threads end as they run out of jobs.
    ///
    /// Jobs that have not begun are still run, or withdrawn if `cancel_pending`; those that run are never interrupted.
    /// The shutdown is under way when this returns. With `wait` the future is ready when it is complete, without at
    /// once. May be called again, in particular to withdraw what a first call left queued. Dropping the last handle of
    /// a pool is `shutdown(false, false)`.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use kumihimo_blocking_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let job = pool.submit(|| 1);
    /// pool.shutdown(true, false).await;
    /// assert!(job.done() && pool.try_submit(|| 2).is_err());
    /// # });
    /// ```
    #[doc(alias = "concurrent.futures.Executor.shutdown")]
    #[doc(alias = "asyncio.loop.shutdown_default_executor")]
    pub fn shutdown(&self, wait: bool, cancel_pending: bool) -> Shutdown {
        let shared = &self.owner.0;
        shared.crew.close();
        if cancel_pending {
            shared.refuse_queued(|| JobError::Cancelled);
        }
        Shutdown::new(Arc::clone(shared), wait)
    }

    /// Whether the pool takes no more jobs: it was told to shut down, or it is broken.
    pub fn is_shut_down(&self) -> bool {
        self.owner.0.crew.counts().closed()
    }

    /// How the pool broke, if its [initializer](Builder::initializer) panicked.
    pub fn broken(&self) -> Option<BrokenThreadPool> {
        self.owner.0.broken()
    }

    /// How many jobs wait for a thread. One that was withdrawn is counted until its turn comes.
    pub fn queue_depth(&self) -> usize {
        self.owner.0.queue.len()
    }

    /// What the pool does at this moment, and has done.
    ///
    /// ```
    /// use kumihimo_blocking_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(4);
    /// pool.submit(|| ()).wait().unwrap();
    /// let metrics = pool.metrics();
    /// assert_eq!((metrics.max_workers, metrics.threads, metrics.completed), (4, 1, 1));
    /// ```
    pub fn metrics(&self) -> PoolMetrics {
        let shared = &self.owner.0;
        let counts = shared.crew.counts();
        let idle = counts.parked() + counts.searching();
        PoolMetrics {
            max_workers: shared.config.max_workers,
            threads: counts.threads(),
            idle,
            running: counts.threads() - idle,
            queued: shared.queue.len(),
            completed: shared.tally.total(),
        }
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

impl Executor for ThreadPoolExecutor {
    fn execute(&self, mut job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.is_shut_down() {
            return Err(self.closed(()).into());
        }
        let job = job.take();
        if !self.enqueue(Arc::clone(&job)) && job.refuse(JobError::Cancelled) {
            return Err(self.closed(()).into());
        }
        Ok(())
    }
}

/// A pool with the default settings: asyncio's number of threads, `min(32, processors + 4)`.
impl Default for ThreadPoolExecutor {
    fn default() -> ThreadPoolExecutor {
        ThreadPoolExecutor::builder().build()
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("threads", &self.threads())
            .field("max_workers", &self.max_workers())
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}
