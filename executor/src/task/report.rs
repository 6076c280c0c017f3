//! An `Err` that nobody looks at: whom to tell.

use std::fmt::Display;
use std::sync::Arc;

use super::failure::quietly;
use super::handle::TaskHandle;
use super::header::TaskRef;
use super::owned::Task;
use super::promise::Promise;
use super::state::Ended;
use crate::exceptions::{ExceptionContext, Exceptions, NEVER_RETRIEVED};
use crate::scheduler;

/// What becomes of a task's failure if nobody looks at it.
pub(crate) enum Report {
    /// Nothing: somebody has looked, or it concerns nobody.
    Quiet,
    /// An `Err` is reported.
    Errors {
        /// The text of the error in a `Result` at this address, if it is one.
        error: unsafe fn(*const ()) -> Option<String>,
        /// Where it goes.
        exceptions: Arc<Exceptions>,
    },
}

unsafe fn error_text<T, E: Display>(output: *const ()) -> Option<String> {
    // SAFETY: the caller gives a live `Result<T, E>`.
    unsafe { &*output.cast::<Result<T, E>>() }.as_ref().err().map(E::to_string)
}

impl<T, E: Display> Task<Result<T, E>> {
    /// Has an `Err` that nobody looks at go to the loop's exception handler, as a panic does.
    ///
    /// Whether a result was looked at is known only of tasks that know their error's type: this says it. The error's `Display` must
    /// not look at the task itself.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use kumihimo_executor::{Builder, ParkDriver, create_task};
    /// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
    /// # runtime.block_on(async {
    /// let refresh = create_task(async { "no".parse::<u32>() });
    /// // Nobody awaits it; the standard error shows what went wrong.
    /// drop(refresh.report_err());
    /// # }, |_| {}).unwrap();
    /// ```
    #[must_use = "dropping a Task detaches it; use `drop` to say that this is meant"]
    pub fn report_err(self) -> Task<Result<T, E>> {
        match scheduler::exceptions_here(self.task().header().runtime) {
            Some(exceptions) => self.report_err_to(&exceptions),
            None => self,
        }
    }

    pub(crate) fn report_err_to(self, exceptions: &Arc<Exceptions>) -> Task<Result<T, E>> {
        // SAFETY: the task returns a `Result<T, E>`.
        unsafe { set_reports::<T, E>(self.task(), exceptions) };
        self
    }
}

impl<T, E: Display> Promise<Result<T, E>> {
    /// As [`Task::report_err`]: an `Err` that is set and that nobody looks at goes to the loop's exception handler.
    pub fn report_err(self) -> Promise<Result<T, E>> {
        let task = self.task();
        let promised_by = task.header().extras().promised_by.lock().clone();
        if let Some(promised_by) = promised_by {
            // SAFETY: the promise is of a `Result<T, E>`.
            unsafe { set_reports::<T, E>(task, &promised_by.exceptions) };
        }
        self
    }
}

/// # Safety
///
/// The task's output is a `Result<T, E>`.
unsafe fn set_reports<T, E: Display>(task: TaskRef, exceptions: &Arc<Exceptions>) {
    let header = task.header();
    let mut report = header.extras().report.lock();
    if report.is_none() {
        *report = Some(Report::Errors { error: error_text::<T, E>, exceptions: exceptions.clone() });
    }
    drop(report);
    header.state.set_reports();
}

/// An owner looks at the output: nobody else is to hear of it, nor to look at it meanwhile.
#[inline]
pub(crate) fn looked_at(task: TaskRef) {
    if task.header().state.reports()
        && let Some(extras) = task.header().try_extras()
    {
        *extras.report.lock() = Some(Report::Quiet);
    }
}

/// The output is about to be dropped: reports it if it is an error that somebody ought to have looked at.
///
/// # Safety
///
/// The task ended with a value, which is there; the caller is its last owner.
#[cold]
pub(crate) unsafe fn before_drop(task: TaskRef) {
    let report = task.header().extras().report.lock().take();
    if let Some(Report::Errors { error, exceptions }) = report {
        // SAFETY: `report_err` left the function for this very type; the rest as the caller says.
        let text = unsafe { text_of(task, error) };
        tell(task, text, &exceptions, NEVER_RETRIEVED);
    }
}

unsafe fn text_of(task: TaskRef, error: unsafe fn(*const ()) -> Option<String>) -> Option<String> {
    let mut text = None;
    task.header().output.is_read();
    // SAFETY: as the caller says.
    quietly(|| text = unsafe { error(task.stage::<()>()) });
    text
}

fn tell(task: TaskRef, text: Option<String>, exceptions: &Exceptions, message: &str) {
    if let Some(text) = text {
        let context = ExceptionContext::new(message).with_exception(text);
        exceptions.call(&context.with_task(TaskHandle::new(task)));
    }
}

impl TaskHandle {
    /// Reports the task's failure, if it has failed and nobody has looked: at the end of a loop.
    pub fn report_unretrieved(&self, message: &str) {
        let task = self.task();
        let Some(extras) = task.header().try_extras() else { return };
        let panicked = extras.panicked.lock().clone();
        if let Some(panicked) = panicked {
            panicked.report(message);
        }
        if task.header().state.ended() != Some(Ended::Value) || !scheduler::may_touch_output(task) {
            // Elsewhere the report is made when the value is dropped.
            return;
        }
        let mut report = extras.report.lock();
        // Others may clone the value under this lock, and it may not be for two threads at once.
        let sharing = extras.sharing.lock();
        if let Some(Report::Errors { error, exceptions }) = report.take() {
            // SAFETY: the task ended with a value. It is there: whoever moves or drops it takes the report away first, which
            // was here until now, and this holds its lock.
            let text = unsafe { text_of(task, error) };
            // The handler may look at the task.
            drop((sharing, report));
            tell(task, text, &exceptions, message);
        }
    }

    /// The task's failure concerns nobody: it is not reported.
    pub fn silence(&self) {
        *self.task().header().extras().report.lock() = Some(Report::Quiet);
    }
}
