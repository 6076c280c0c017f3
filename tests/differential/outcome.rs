//! Errors, and how they are printed: one spelling for all three ways to run a program.

use std::fmt;

/// An ordinary exception. In Rust it is a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Raised by the statement with this number.
    Raised(usize),
    Timeout,
    Group(Vec<Error>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Raised(number) => write!(f, "E(e{number})"),
            Error::Timeout => f.write_str("TimeoutError"),
            Error::Group(errors) => {
                write!(f, "Group[{}]", errors.iter().map(Error::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl std::error::Error for Error {}

/// The message with which a group's task that failed is cancelled.
pub(crate) const ERROR_WENT_TO_GROUP: &str = "its error went to its task group";

pub(crate) fn show_panic(message: &str) -> String {
    format!("Panic({message})")
}

pub(crate) fn show_cancelled(message: Option<&str>) -> String {
    format!("Cancelled({})", message.unwrap_or_default())
}

pub(crate) fn panic_message(number: usize) -> String {
    format!("p{number}")
}

pub(crate) fn cancel_message(number: usize) -> String {
    format!("m{number}")
}

pub(crate) fn list(shown: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", shown.into_iter().collect::<Vec<_>>().join(", "))
}
