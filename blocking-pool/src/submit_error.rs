//! Why a pool takes no job.

use std::fmt;

use crate::job_error::BrokenThreadPool;

/// A job was submitted where none is taken any more: to a pool that is shut down or broken, or to a default executor
/// that was shut down.
pub struct SubmitError<F> {
    /// What was submitted.
    f: F,
    why: Why,
}

/// Why the job was not taken.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// The pool is shut down.
    ShutDown,
    /// The pool is broken.
    Broken(BrokenThreadPool),
    /// The loop's default executor was shut down.
    NoDefault,
}

impl<F> SubmitError<F> {
    pub(crate) fn new(f: F, why: Why) -> SubmitError<F> {
        SubmitError { f, why }
    }

    /// The function that did not run.
    pub fn into_inner(self) -> F {
        self.f
    }

    /// How the pool broke; `None` if there was a shutdown.
    pub fn broken(&self) -> Option<&BrokenThreadPool> {
        match &self.why {
            Why::Broken(error) => Some(error),
            _ => None,
        }
    }

    /// The error without the function, which is dropped.
    pub fn without_function(self) -> SubmitError<()> {
        SubmitError { f: (), why: self.why }
    }
}

impl<F> fmt::Display for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::ShutDown => f.write_str(
                "the job was not submitted: its thread pool is shut down; submit before the shutdown (or, for the \
                 default pool, before the loop closes), or make another pool",
            ),
            Why::Broken(error) => write!(f, "the job was not submitted: {error}"),
            Why::NoDefault => f.write_str(
                "the job was not submitted: the executor shutdown has been called, so the loop's default executor takes \
                 none any more; submit before that, or to a `ThreadPoolExecutor` of your own",
            ),
        }
    }
}

impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<F> std::error::Error for SubmitError<F> {}
