//! Executors of the user's own.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::clock;
use crate::job::Job;
use crate::job_error::JobError;
use crate::slot::{Run, Slot};

/// Where blocking functions run: a pool of threads, or whatever the implementor makes of it.
///
/// [`execute`](Self::execute) takes a job and arranges for it to be [run](ExecutorJob::run), on another thread as a rule.
///
/// ```
/// use std::error::Error;
/// use std::thread;
/// use kumihimo_blocking_pool::{Executor, ExecutorJob, submit_to};
///
/// /// A thread for each job.
/// struct ThreadPerJob;
///
/// impl Executor for ThreadPerJob {
///     fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
///         thread::Builder::new().name("job".into()).spawn(|| job.run())?;
///         Ok(())
///     }
/// }
///
/// let job = submit_to(&ThreadPerJob, || thread::current().name().map(str::to_owned))?;
/// assert_eq!(job.wait()?.as_deref(), Some("job"));
/// # Ok::<(), Box<dyn Error>>(())
/// ```
#[doc(alias = "concurrent.futures.Executor")]
#[diagnostic::on_unimplemented(
    note = "a `ProcessPoolExecutor` runs no closures: it has `submit(f, argument)`, and loops have `run_in_process`"
)]
pub trait Executor {
    /// Takes a job, to be run soon, or refuses it. It should not block.
    ///
    /// # Errors
    ///
    /// Why the executor refuses the job. Whoever submitted it is told so, and the job, which is dropped, does not run.
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl<X: Executor + ?Sized> Executor for &X {
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).execute(job)
    }
}

impl<X: Executor + ?Sized> Executor for Arc<X> {
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).execute(job)
    }
}

impl<X: Executor + ?Sized> Executor for Box<X> {
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).execute(job)
    }
}

/// A function on its way to a thread of an [`Executor`].
///
/// One that is dropped without having been run is withdrawn: whoever awaits it is cancelled, and nobody hangs.
#[must_use = "a job that is dropped does not run, and whoever awaits it is cancelled; call `run`"]
pub struct ExecutorJob {
    /// The job; `None` once it was passed on.
    job: Option<Arc<dyn Run>>,
}

impl ExecutorJob {
    pub(crate) fn new(job: Arc<dyn Run>) -> ExecutorJob {
        ExecutorJob { job: Some(job) }
    }

    /// Runs the function on this thread, and hands its value over. Does nothing if the job was withdrawn.
    ///
    /// It does not panic: a panic of the function goes to whoever awaits the job.
    pub fn run(mut self) {
        self.take().run(&mut |_| ());
    }

    /// Whether nobody wants the job any more, so that running it does nothing.
    pub fn is_withdrawn(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.is_detached())
    }

    /// The job, to be passed on.
    pub(crate) fn take(&mut self) -> Arc<dyn Run> {
        self.job.take().expect("a job is passed on once, by value")
    }
}

impl Drop for ExecutorJob {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.refuse(JobError::Cancelled);
        }
    }
}

impl fmt::Debug for ExecutorJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorJob").field("withdrawn", &self.is_withdrawn()).finish_non_exhaustive()
    }
}

/// Hands `f` to an executor, whichever it is.
///
/// While the job is open, a paused clock of the loop that runs on the calling thread does not advance by itself.
///
/// # Cancellation
///
/// As for [`ThreadPoolExecutor::submit`](crate::ThreadPoolExecutor::submit).
///
/// # Errors
///
/// If the executor refuses the job.
#[doc(alias = "concurrent.futures.Executor.submit")]
pub fn submit_to<X, F, T>(executor: &X, f: F) -> Result<Job<T>, ExecutorError>
where
    X: Executor + ?Sized,
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Slot::new(f, clock::hold()));
    executor.execute(ExecutorJob::new(Arc::clone(&slot) as _)).map_err(ExecutorError)?;
    Ok(Job::new(slot))
}

/// An executor refused a job.
#[derive(Debug)]
pub struct ExecutorError(Box<dyn Error + Send + Sync>);

impl ExecutorError {
    /// An executor's refusal, for this reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> ExecutorError {
        ExecutorError(reason.into())
    }

    /// The executor's reason.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the executor refused the job: {}", self.0)
    }
}

impl Error for ExecutorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
