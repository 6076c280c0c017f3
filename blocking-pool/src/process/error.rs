//! `ProcessError`: why a call gave no value.

use std::fmt;

use super::broken::BrokenProcessPool;
use super::panics::RemotePanic;

/// Why a call in another process gave no value.
///
/// What the function itself returns, an `Err` too, is a value. With `{:#}` a panic is displayed with the stack of its process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// The function panicked, in its process. The pool goes on.
    Panicked(RemotePanic),
    /// A process died.
    Broken(BrokenProcessPool),
    /// A shutdown of the pool withdrew the call before it began.
    Cancelled,
    /// The pool was shut down before the call was submitted.
    ShutDown,
    /// The function is not part of this program itself, but of a library that it loaded. The text names it.
    Foreign(String),
    /// The argument, the result, or the frame around one of them could not be made, sent or understood. The text says
    /// which and why. The pool goes on.
    Unsendable(String),
    /// No process could be started. The text says why.
    NotStarted(String),
    /// No loop runs on this thread, and none that runs looks after the pool.
    NoLoop,
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Panicked(panic) => {
                f.write_str("the function panicked in its process: ")?;
                panic.fmt(f)
            }
            ProcessError::Broken(broken) => broken.fmt(f),
            ProcessError::Cancelled => f.write_str("the process pool was shut down before the call began"),
            ProcessError::ShutDown => f.write_str(
                "the call was not submitted: its process pool is shut down; submit before the shutdown, or make another \
                 pool",
            ),
            ProcessError::Foreign(text) | ProcessError::Unsendable(text) => f.write_str(text),
            ProcessError::NotStarted(text) => write!(f, "no process could be started for the call: {text}"),
            ProcessError::NoLoop => f.write_str(
                "the call was not submitted: no loop runs on this thread, nor anywhere else for this pool; submit in a \
                 task of `kumihimo::run`",
            ),
        }
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProcessError::Broken(broken) => Some(broken),
            _ => None,
        }
    }
}
