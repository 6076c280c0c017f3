//! `CancelledError`, and raising it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::poll_context::{self, OWED, RAISING};

/// The message given to `cancel_with`, if any.
pub type CancelMessage = Option<Arc<str>>;

/// A cancellation that a scope has caught, or that a task has ended with.
///
/// It is asyncio's `CancelledError`: clean up, then [`raise`](Self::raise) it to go on being cancelled, or drop it
/// to swallow the cancellation.
#[doc(alias = "asyncio.CancelledError")]
#[derive(Clone, Default)]
#[must_use = "raise it to go on being cancelled, or drop it on purpose to swallow the cancellation"]
pub struct CancelledError {
    message: CancelMessage,
    /// It answers a request to the task that caught it.
    owed: bool,
}

impl PartialEq for CancelledError {
    fn eq(&self, other: &CancelledError) -> bool {
        self.message == other.message
    }
}

impl Eq for CancelledError {}

impl CancelledError {
    /// An error with this message.
    pub fn new(message: CancelMessage) -> CancelledError {
        CancelledError { message, owed: false }
    }

    /// One that answers a request to the polling task, or not.
    pub(crate) fn caught(message: CancelMessage, owed: bool) -> CancelledError {
        CancelledError { message, owed }
    }

    /// Whether it answers a request to the task that caught it.
    pub(crate) fn is_owed(&self) -> bool {
        self.owed
    }

    /// The message that came with the request.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The message, shared.
    pub fn into_message(self) -> CancelMessage {
        self.message
    }

    /// Raises this cancellation where it is awaited: Python's `raise` in an `except CancelledError` block.
    ///
    /// The nearest enclosing scope (`catch_cancelled`, `finally`, a time-out, a group) gets it; without one the task
    /// ends cancelled. Code after the await does not run.
    ///
    /// # Panics
    ///
    /// When awaited outside of a kumihimo task, where there is nothing to raise into.
    pub async fn raise(self) -> ! {
        loop {
            poll_fn(|cx| {
                assert!(
                    !poll_context::current_task().is_null(),
                    "CancelledError raised outside of a kumihimo task: there is nothing to cancel here; \
                     use `outcome()` to look at a task's cancellation as a value"
                );
                raise(self.message.clone(), self.owed, cx);
                Poll::<()>::Pending
            })
            .await;
        }
    }
}

/// Marks the poll in progress as raising; the caller then returns `Pending`.
///
/// `owed`: it answers a request to the task.
pub(crate) fn raise(message: CancelMessage, owed: bool, cx: &Context<'_>) {
    poll_context::set_message(message);
    let flags = poll_context::flags() & !OWED;
    poll_context::set_flags(flags | RAISING | if owed { OWED } else { 0 });
    if !poll_context::is_own(cx) {
        // Others may share this future, and wait for whoever polls it now: they come and see.
        cx.waker().wake_by_ref();
    }
}

impl fmt::Display for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "cancelled: {message}"),
            None => f.write_str("cancelled"),
        }
    }
}

impl fmt::Debug for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelledError").field(&self.message.as_deref().unwrap_or("")).finish()
    }
}

impl std::error::Error for CancelledError {}
