//! How a job fails.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

/// Why a job gave no value.
#[non_exhaustive]
pub enum JobError {
    /// The job was withdrawn before it began: by [`cancel`](crate::Job::cancel), by a shutdown of its pool, or by an
    /// executor that dropped it.
    Cancelled,
    /// The job panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
    /// The job did not begin, as its pool broke.
    Broken(BrokenThreadPool),
    /// The job had not ended when a [`result(timeout)`](crate::Job::result) gave up. It goes on.
    TimedOut,
}

impl JobError {
    /// Lets the failure go on as a panic.
    pub(crate) fn resume(self) -> ! {
        match self {
            JobError::Panicked(payload) => resume_unwind(payload),
            error => panic!("{error}"),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Cancelled => f.write_str(
                "the blocking job was withdrawn before it began: it was cancelled, or its executor was shut down or \
                 dropped it",
            ),
            JobError::Panicked(payload) => match message(payload.as_ref()) {
                Some(text) => write!(f, "the blocking job panicked: {text}"),
                None => f.write_str("the blocking job panicked"),
            },
            JobError::Broken(error) => write!(f, "the blocking job did not run: {error}"),
            JobError::TimedOut => f.write_str(
                "the time-out expired before the blocking job had ended: it goes on; ask for its result again, or give \
                 it more time",
            ),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Cancelled => f.write_str("Cancelled"),
            JobError::Panicked(_) => write!(f, "Panicked({:?})", self.to_string()),
            JobError::Broken(error) => f.debug_tuple("Broken").field(error).finish(),
            JobError::TimedOut => f.write_str("TimedOut"),
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JobError::Broken(error) => Some(error),
            _ => None,
        }
    }
}

/// A pool is of no use any more, as its [initializer](crate::Builder::initializer) panicked.
///
/// Jobs that waited fail with it, as does every later submission. Jobs that ran on other threads are not affected.
#[doc(alias = "concurrent.futures.thread.BrokenThreadPool")]
#[derive(Clone, Debug)]
pub struct BrokenThreadPool {
    /// What the panic said.
    message: Arc<str>,
}

impl BrokenThreadPool {
    /// What a panic of the initializer makes of its pool.
    pub(crate) fn new(payload: &(dyn Any + Send)) -> BrokenThreadPool {
        BrokenThreadPool {
            message: message(payload).unwrap_or("a panic whose payload is not a string").into(),
        }
    }

    /// What the initializer's panic said.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for BrokenThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the thread pool is broken, as its initializer panicked ({}): make another pool, with an initializer that \
             succeeds",
            self.message
        )
    }
}

impl std::error::Error for BrokenThreadPool {}

/// What a panic said, if it was a text.
fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
