//! The handle of a submitted job.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{Forward, Leaf, WaitKind, current_task};

use crate::slot::Await;

/// A job on a [`ThreadPool`](crate::ThreadPool), and the future of its value.
///
/// A panic of the job goes on where the handle is awaited. The value is dropped with the handle where it was not
/// awaited.
///
/// # Cancellation
///
/// Dropping the handle withdraws a job that has not begun: it never runs, and what it captured is dropped at once. A
/// job that has begun can't be stopped; it runs to its end, and its result is dropped in the pool thread.
///
/// A job that a [shutdown](crate::ThreadPool::shutdown) withdrew raises a cancellation in the task that awaits it.
///
/// # Panics
///
/// Awaiting panics where the job panicked; where the job was withdrawn by a shutdown and no kumihimo task is there to
/// be cancelled; and where the value was awaited before.
#[doc(alias = "concurrent.futures.Future")]
#[must_use = "a job whose handle is dropped does not run unless it has begun; await it"]
pub struct Job<T> {
    /// The slot; `None` once the outcome was taken out of it.
    slot: Option<Arc<dyn Await<T>>>,
    /// Our part in cancellation and budgeting.
    leaf: Leaf,
    /// A shutdown withdrew the job: every further poll raises again.
    withdrawn: bool,
}

impl<T> Job<T> {
    pub(crate) fn new(slot: Arc<dyn Await<T>>) -> Job<T> {
        Job { slot: Some(slot), leaf: Leaf::new(), withdrawn: false }
    }

    /// Whether the job has ended.
    #[doc(alias = "concurrent.futures.Future.done")]
    pub fn done(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.done())
    }

    /// The future of how the job ended, with a panic or a withdrawal as a value.
    ///
    /// # Cancellation
    ///
    /// As for the job itself.
    pub fn outcome(self) -> Outcome<T> {
        Outcome { job: self }
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JobError>> {
        ready!(self.leaf.enter(cx));
        let slot = self.slot.as_ref().expect("a blocking job was awaited again after it had given its value");
        let Poll::Ready(outcome) = slot.poll_outcome(cx.waker()) else {
            self.leaf.wait(WaitKind::Thread);
            return Poll::Pending;
        };
        self.slot = None;
        Poll::Ready(outcome)
    }

    /// Raises the cancellation that a shutdown stands for.
    fn raise_withdrawn(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.withdrawn = true;
        assert!(
            !current_task().is_null(),
            "the blocking job was withdrawn by a shutdown of its pool, and there is no kumihimo task to cancel here; \
             await `job.outcome()` to get this as a value"
        );
        Forward::new().raise(None, cx);
        Poll::Pending
    }
}

impl<T> Future for Job<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if self.withdrawn {
            return self.raise_withdrawn(cx);
        }
        match ready!(self.poll_outcome(cx)) {
            Ok(value) => Poll::Ready(value),
            Err(JobError::Panicked(payload)) => resume_unwind(payload),
            Err(JobError::Cancelled) => self.raise_withdrawn(cx),
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

/// Why a job gave no value.
pub enum JobError {
    /// A shutdown of the pool withdrew the job before it began.
    Cancelled,
    /// The job panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = match self {
            JobError::Cancelled => {
                return f.write_str("the pool was shut down before the blocking job began");
            }
            JobError::Panicked(payload) => payload,
        };
        let text = payload.downcast_ref::<&str>().copied();
        match text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)) {
            Some(text) => write!(f, "the blocking job panicked: {text}"),
            None => f.write_str("the blocking job panicked"),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Cancelled => f.write_str("Cancelled"),
            JobError::Panicked(_) => write!(f, "Panicked({:?})", self.to_string()),
        }
    }
}

impl std::error::Error for JobError {}
