//! What can be raised, and what a future can hold.

use crate::outcome::{Error, list, panic_message, show_cancelled, show_panic};

/// What began a cancellation. Programs can't see it; the coverage table counts by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Cancel,
    Timeout,
    Error,
    Panic,
}

/// What `cancel(msg)` was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) text: Option<String>,
    pub(crate) cause: Cause,
}

impl Message {
    pub(crate) fn none(cause: Cause) -> Message {
        Message { text: None, cause }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Exception {
    Cancelled(Message),
    Error(Error),
    /// The statement that panicked. In Python a `BaseException` like `CancelledError`, so `except Exception` lets it pass.
    Panic(usize),
}

impl Exception {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Exception::Cancelled(message) => message.cause,
            Exception::Error(Error::Timeout) => Cause::Timeout,
            Exception::Error(_) => Cause::Error,
            Exception::Panic(_) => Cause::Panic,
        }
    }

    pub(crate) fn show(&self) -> String {
        match self {
            Exception::Cancelled(message) => show_cancelled(message.text.as_deref()),
            Exception::Error(error) => error.to_string(),
            Exception::Panic(number) => show_panic(&panic_message(*number)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Int(usize),
    /// An exception, returned.
    Error(Error),
    /// Of a gather.
    List(Vec<Outcome>),
}

pub(crate) type Outcome = Result<Value, Exception>;

impl Value {
    pub(crate) fn show(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Int(number) => number.to_string(),
            Value::Error(error) => error.to_string(),
            Value::List(outcomes) => list(outcomes.iter().map(show)),
        }
    }
}

pub(crate) fn show(outcome: &Outcome) -> String {
    match outcome {
        Ok(value) => value.show(),
        Err(exception) => exception.show(),
    }
}
