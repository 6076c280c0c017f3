//! Errors, and how they are printed: one spelling for all three ways to run a program.

use std::fmt;

/// An ordinary exception. In Rust it is a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Raised by the statement with this number.
    Raised(usize),
    Timeout,
    Group(Vec<Error>),
    BrokenBarrier,
    QueueShutDown,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Raised(number) => write!(f, "E(e{number})"),
            Error::Timeout => f.write_str("TimeoutError"),
            Error::BrokenBarrier => f.write_str("BrokenBarrierError"),
            Error::QueueShutDown => f.write_str("QueueShutDown"),
            Error::Group(errors) => {
                write!(f, "Group[{}]", errors.iter().map(Error::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl std::error::Error for Error {}

/// The message with which a group's task that failed is cancelled.
pub(crate) const ERROR_WENT_TO_GROUP: &str = "its error went to its task group";

/// What operations that never wait print instead of a result.
pub(crate) const QUEUE_EMPTY: &str = "QueueEmpty";
pub(crate) const QUEUE_FULL: &str = "QueueFull";
pub(crate) const QUEUE_SHUT_DOWN: &str = "QueueShutDown";
pub(crate) const TOO_OFTEN: &str = "ValueError";
/// Of a semaphore that can't be acquired at once.
pub(crate) const LOCKED: &str = "locked";
/// Of an operation on a condition whose lock is not held.
pub(crate) const NOT_HELD: &str = "not held";

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

pub(crate) fn look_barrier(parties: usize, n_waiting: usize, broken: bool) -> String {
    format!("parties={parties} n_waiting={n_waiting} broken={broken}")
}

pub(crate) fn look_queue(qsize: usize, empty: bool, full: bool) -> String {
    format!("qsize={qsize} empty={empty} full={full}")
}
