//! Failures that reach nobody: the loop's exception handler.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::sync::Mutex;
use crate::task::failure::quietly;
use crate::task::{PanicError, TaskHandle};

/// What is known of a failure that reached nobody: asyncio's `context` dictionary.
#[derive(Clone, Debug)]
pub struct ExceptionContext {
    /// What happened.
    message: String,
    /// What the panic or the error said.
    exception: Option<String>,
    /// The task that failed.
    task: Option<TaskHandle>,
}

impl ExceptionContext {
    /// A report that says this.
    pub fn new(message: impl Into<String>) -> ExceptionContext {
        ExceptionContext { message: message.into(), exception: None, task: None }
    }

    /// Adds what the error said.
    #[must_use]
    pub fn with_exception(mut self, exception: impl fmt::Display) -> ExceptionContext {
        self.exception = Some(exception.to_string());
        self
    }

    /// Adds the task that failed.
    #[must_use]
    pub fn with_task(mut self, task: TaskHandle) -> ExceptionContext {
        self.task = Some(task);
        self
    }

    pub(crate) fn with_panic(self, panic: &PanicError) -> ExceptionContext {
        self.with_exception(panic.message())
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the panic or the error said.
    pub fn exception(&self) -> Option<&str> {
        self.exception.as_deref()
    }

    /// The task that failed, where one did.
    pub fn task(&self) -> Option<&TaskHandle> {
        self.task.as_ref()
    }
}

impl fmt::Display for ExceptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(task) = &self.task {
            write!(f, ": {task:?}")?;
        }
        match &self.exception {
            Some(exception) => write!(f, ": {exception}"),
            None => Ok(()),
        }
    }
}

/// A loop's exception handler.
pub type ExceptionHandler = Arc<dyn Fn(&ExceptionContext) + Send + Sync>;

/// Where a loop's reports go.
#[derive(Default)]
pub(crate) struct Exceptions {
    /// The user's handler; without one, reports go to the standard error.
    handler: Mutex<Option<ExceptionHandler>>,
}

impl Exceptions {
    /// Sets the handler; `None` restores the default.
    pub(crate) fn set(&self, handler: Option<ExceptionHandler>) {
        let before = std::mem::replace(&mut *self.handler.lock(), handler);
        // Outside of the lock: what the handler owns may report something as it goes.
        quietly(|| drop(before));
    }

    /// The user's handler.
    pub(crate) fn get(&self) -> Option<ExceptionHandler> {
        self.handler.lock().clone()
    }

    /// Reports a failure; never panics.
    pub(crate) fn call(&self, context: &ExceptionContext) {
        let Some(handler) = self.get() else { return default_handler(context) };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| handler(context))) {
            quietly(|| drop::<Box<dyn Any + Send>>(payload));
            default_handler(&ExceptionContext::new("the exception handler panicked; it was called for this"));
            default_handler(context);
        }
        quietly(|| drop(handler));
    }
}

/// asyncio logs; this writes to the standard error.
fn default_handler(context: &ExceptionContext) {
    // Where the standard error is closed, that panics.
    quietly(|| eprintln!("kumihimo: {context}"));
}

/// Whom to tell of a panic that nobody has looked at: taken by whoever looks or tells.
#[derive(Default)]
pub(crate) struct Unretrieved(Mutex<Option<Box<Debt>>>);

/// What is owed to the loop's handler.
pub(crate) struct Debt {
    pub(crate) exceptions: Arc<Exceptions>,
    pub(crate) task: TaskHandle,
    /// What the panic said.
    pub(crate) panic: Arc<str>,
}

impl Unretrieved {
    pub(crate) fn set(&self, debt: Debt) {
        *self.0.lock() = Some(Box::new(debt));
    }

    /// Somebody has looked.
    pub(crate) fn clear(&self) {
        let debt = self.0.lock().take();
        drop(debt);
    }

    /// Nobody has looked: tells the handler, unless that was done.
    pub(crate) fn report(&self, message: &str) {
        let debt = self.0.lock().take();
        if let Some(debt) = debt {
            let context = ExceptionContext::new(message).with_exception(&debt.panic);
            debt.exceptions.call(&context.with_task(debt.task));
        }
    }
}

/// What is said of a task whose failure nobody has looked at.
pub(crate) const NEVER_RETRIEVED: &str = "a task failed, and nobody has looked at its end";
