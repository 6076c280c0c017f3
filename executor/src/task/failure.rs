//! How a task fails: cancelled or panicked.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kumihimo_context::{CancelMessage, CancelledError};

use super::header::Payload;
use crate::exceptions::{NEVER_RETRIEVED, Unretrieved};
use crate::sync::Mutex;

/// What a task that ended without a value left.
pub(crate) enum Failure {
    /// It was cancelled, with this message.
    Cancelled(CancelMessage),
    /// It panicked.
    Panicked(Panicked),
}

/// A panic, to be shared by everybody who awaits the task.
pub(crate) struct Panicked {
    /// What the panic carried; the first awaiter takes it.
    payload: Mutex<Option<Payload>>,
    /// Its text, for everybody.
    message: Arc<str>,
    /// Who hears of it if nobody looks.
    unretrieved: Option<Arc<Unretrieved>>,
}

impl Panicked {
    pub(crate) fn new(payload: Payload, unretrieved: Option<Arc<Unretrieved>>) -> Panicked {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            Arc::from(*text)
        } else if let Some(text) = payload.downcast_ref::<String>() {
            Arc::from(text.as_str())
        } else {
            Arc::from("a panic whose payload is not a string")
        };
        Panicked { payload: Mutex::new(Some(payload)), message, unretrieved }
    }

    /// The payload for the first who asks, the message for others.
    pub(crate) fn payload(&self) -> Payload {
        self.retrieve();
        self.payload.lock().take().unwrap_or_else(|| Box::new(self.message.to_string()))
    }

    /// What it said.
    pub(crate) fn message(&self) -> &Arc<str> {
        &self.message
    }

    /// Somebody has looked: nobody else hears of it.
    fn retrieve(&self) {
        if let Some(unretrieved) = &self.unretrieved {
            unretrieved.clear();
        }
    }

    /// The panic as an error value, with its payload for the first who asks.
    pub(crate) fn error(&self) -> PanicError {
        self.retrieve();
        PanicError { message: self.message.clone(), payload: self.payload.lock().take() }
    }

    /// The panic as an error value, for somebody who only looks.
    fn look(&self) -> PanicError {
        self.retrieve();
        PanicError { message: self.message.clone(), payload: None }
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        if let Some(unretrieved) = &self.unretrieved {
            unretrieved.report(NEVER_RETRIEVED);
        }
        if let Some(payload) = self.payload.lock().take() {
            quietly(|| drop(payload));
        }
    }
}

/// Runs foreign code whose panic concerns nobody, nor what that carries, which may panic in turn when it is dropped.
pub(crate) fn quietly(foreign: impl FnOnce()) {
    let mut result = catch_unwind(AssertUnwindSafe(foreign));
    for _ in 0..MAX_PANICS {
        let Err(payload) = result else { return };
        result = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
    // There seems to be no end to it.
    std::mem::forget(result);
}

/// Panics in the destructors of panics that are borne.
const MAX_PANICS: usize = 8;

/// A task's panic, as a value.
pub struct PanicError {
    message: Arc<str>,
    /// Given to the first who looks.
    payload: Option<Box<dyn Any + Send>>,
}

impl PanicError {
    /// What the panic said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the panic carried: the payload itself for the first who looked at the task's end, its message for others.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.unwrap_or_else(|| Box::new(self.message.to_string()))
    }

    /// Lets the panic go on here.
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Display for PanicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the task panicked: {}", self.message)
    }
}

impl fmt::Debug for PanicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PanicError").field(&self.message).finish()
    }
}

impl std::error::Error for PanicError {}

// SAFETY: the payload is only ever moved out by value (`into_payload`), never reached through a shared reference.
unsafe impl Sync for PanicError {}

/// Why a task has no value.
#[derive(Debug)]
pub enum TaskError {
    /// It was cancelled.
    Cancelled(CancelledError),
    /// It panicked.
    Panicked(PanicError),
}

impl TaskError {
    /// Whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, TaskError::Cancelled(_))
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, TaskError::Panicked(_))
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Cancelled(error) => write!(f, "the task was {error}"),
            TaskError::Panicked(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TaskError::Cancelled(error) => Some(error),
            TaskError::Panicked(error) => Some(error),
        }
    }
}

impl Failure {
    /// The failure as an error value, for somebody who only looks: a panic's payload stays for who awaits the task.
    pub(crate) fn look(&self) -> TaskError {
        match self {
            Failure::Cancelled(message) => TaskError::Cancelled(CancelledError::new(message.clone())),
            Failure::Panicked(panicked) => TaskError::Panicked(panicked.look()),
        }
    }
}

impl From<&Failure> for TaskError {
    fn from(failure: &Failure) -> TaskError {
        match failure {
            Failure::Cancelled(message) => TaskError::Cancelled(CancelledError::new(message.clone())),
            Failure::Panicked(panicked) => TaskError::Panicked(panicked.error()),
        }
    }
}

/// Why `try_result` has no value.
#[derive(Debug)]
pub enum ResultError {
    /// The task has not ended: asyncio's `InvalidStateError`.
    NotReady,
    /// The task failed.
    Task(TaskError),
}

impl fmt::Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResultError::NotReady => {
                f.write_str("the result is not ready: the task has not ended; await it first")
            }
            ResultError::Task(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ResultError {}
