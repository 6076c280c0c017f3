//! The handle of a submitted job.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kumihimo_context::{Forward, Leaf, WaitKind, current_task};

use crate::blocking::block_until;
use crate::job_error::JobError;
use crate::slot::Await;

/// A job on an executor, and the future of its value.
///
/// A panic of the job goes on where the handle is awaited. The value is dropped with the handle where it was not
/// awaited. A thread that may block can [`wait`](Self::wait) instead.
///
/// ```
/// use futures_lite::future::block_on;
/// use kumihimo_blocking_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(2);
/// let (length, sum) = (pool.submit(|| "text".len()), pool.submit(|| 1 + 2));
/// assert_eq!(length.wait().unwrap(), 4);
/// assert_eq!(block_on(sum), 3);
/// ```
///
/// # Cancellation
///
/// Dropping the handle, or [`cancel`](Self::cancel), withdraws a job that has not begun: it never runs, and what it
/// captured is dropped at once. A job that has begun can't be stopped; it runs to its end, and its result is dropped in
/// the pool thread.
///
/// A job that was cancelled, or that a [shutdown](crate::ThreadPoolExecutor::shutdown) withdrew, raises a cancellation in
/// the task that awaits it.
///
/// # Panics
///
/// Awaiting panics where the job panicked; where its pool is [broken](crate::BrokenThreadPool); where the job was
/// withdrawn and no kumihimo task is there to be cancelled; and where the value was had before.
#[doc(alias = "concurrent.futures.Future")]
#[must_use = "a job whose handle is dropped does not run unless it has begun; await it"]
pub struct Job<T> {
    /// The slot; `None` once the outcome was taken out of it.
    slot: Option<Arc<dyn Await<T>>>,
    /// Our part in cancellation and budgeting.
    leaf: Leaf,
    /// The job was withdrawn, by us or by a shutdown: every further poll raises again.
    withdrawn: bool,
}

impl<T> Job<T> {
    pub(crate) fn new(slot: Arc<dyn Await<T>>) -> Job<T> {
        Job { slot: Some(slot), leaf: Leaf::new(), withdrawn: false }
    }

    /// Has the job run though nobody awaits it.
    ///
    /// A panic of it is dropped, after the panic hook has reported it.
    pub fn detach(mut self) {
        self.slot = None;
    }

    /// Withdraws the job, unless it has begun: true if it never runs.
    ///
    /// ```
    /// use kumihimo_blocking_pool::{JobError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1);
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let first = pool.submit(move || gate.recv().is_err());
    /// let mut second = pool.submit(|| unreachable!("the only thread is busy"));
    /// assert!(second.cancel());
    /// assert!(matches!(second.wait(), Err(JobError::Cancelled)));
    /// drop(open);
    /// assert!(first.wait().unwrap());
    /// ```
    #[doc(alias = "concurrent.futures.Future.cancel")]
    pub fn cancel(&mut self) -> bool {
        if !self.withdrawn
            && let Some(slot) = &self.slot
            && slot.withdraw()
        {
            self.slot = None;
            self.withdrawn = true;
        }
        self.cancelled()
    }

    /// Whether the job was withdrawn before it began: by [`cancel`](Self::cancel), by a shutdown, or by an executor that
    /// dropped it.
    #[doc(alias = "concurrent.futures.Future.cancelled")]
    pub fn cancelled(&self) -> bool {
        self.withdrawn || self.slot.as_ref().is_some_and(|slot| slot.cancelled())
    }

    /// Whether the job has begun and not ended.
    #[doc(alias = "concurrent.futures.Future.running")]
    pub fn running(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.running())
    }

    /// Whether the job has ended, or was withdrawn.
    #[doc(alias = "concurrent.futures.Future.done")]
    pub fn done(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.done())
    }

    /// Blocks the calling thread until the job has ended, and gives its value. Not for the threads of a loop: await the
    /// job there.
    ///
    /// # Errors
    ///
    /// Why there is no value; never [`JobError::TimedOut`].
    ///
    /// # Panics
    ///
    /// If the value was had before.
    #[doc(alias = "concurrent.futures.Future.result")]
    pub fn wait(mut self) -> Result<T, JobError> {
        self.result(None)
    }

    /// Blocks the calling thread until the job has ended, or until `timeout` (real time) has passed; `None` waits for as
    /// long as it takes. The value can be had once.
    ///
    /// Not for the threads of a loop: await the job there. Nor for a job that waits for another one of the same pool, if
    /// all threads may come to do so: they would wait for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kumihimo_blocking_pool::{JobError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::default();
    /// let (open, gate) = std::sync::mpsc::channel::<()>();
    /// let mut job = pool.submit(move || gate.recv().is_err());
    /// assert!(matches!(job.result(Some(Duration::from_millis(1))), Err(JobError::TimedOut)));
    /// drop(open);
    /// assert!(job.result(None).unwrap());
    /// ```
    ///
    /// # Errors
    ///
    /// Why there is no value; [`JobError::TimedOut`] if there is none yet: then it can be asked for again.
    ///
    /// # Panics
    ///
    /// If the value was had before.
    #[doc(alias = "concurrent.futures.Future.result")]
    #[track_caller]
    pub fn result(&mut self, timeout: Option<Duration>) -> Result<T, JobError> {
        let Some(slot) = &self.slot else { return Err(self.gone()) };
        let outcome = block_until(timeout, |waker| slot.poll_outcome(waker)).ok_or(JobError::TimedOut)?;
        self.slot = None;
        self.withdrawn = matches!(outcome, Err(JobError::Cancelled));
        outcome
    }

    /// The future of how the job ended, with a panic or a withdrawal as a value.
    ///
    /// # Cancellation
    ///
    /// As for the job itself.
    pub fn outcome(self) -> Outcome<T> {
        Outcome { job: self }
    }

    /// Why a job without a slot has no value.
    #[cold]
    #[track_caller]
    fn gone(&self) -> JobError {
        assert!(self.withdrawn, "a blocking job was awaited again after it had given its value");
        JobError::Cancelled
    }

    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JobError>> {
        ready!(self.leaf.enter(cx));
        let Some(slot) = &self.slot else { return Poll::Ready(Err(self.gone())) };
        let Poll::Ready(outcome) = slot.poll_outcome(cx.waker()) else {
            self.leaf.wait(WaitKind::Thread);
            return Poll::Pending;
        };
        self.slot = None;
        Poll::Ready(outcome)
    }

    /// There is no value.
    #[cold]
    #[inline(never)]
    fn fail(&mut self, error: JobError, cx: &Context<'_>) -> Poll<T> {
        match error {
            JobError::Cancelled => self.raise_withdrawn(cx),
            error => error.resume(),
        }
    }

    /// Raises the cancellation that a withdrawal stands for.
    pub(crate) fn raise_withdrawn(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.withdrawn = true;
        assert!(
            !current_task().is_null(),
            "{}; and there is no kumihimo task to cancel here: await `job.outcome()` to get this as a value",
            JobError::Cancelled
        );
        Forward::new().raise(None, cx);
        Poll::Pending
    }
}

impl<T> Future for Job<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.poll_outcome(cx)) {
            Ok(value) => Poll::Ready(value),
            Err(error) => self.fail(error, cx),
        }
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            slot.detach();
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("done", &self.done()).finish()
    }
}

/// The future of how a job ended; made by [`Job::outcome`].
#[derive(Debug)]
#[must_use = "a job whose handle is dropped does not run unless it has begun; await it"]
pub struct Outcome<T> {
    job: Job<T>,
}

impl<T> Future for Outcome<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.job.poll_outcome(cx)
    }
}
