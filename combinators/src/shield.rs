//! `shield`: protects a task from its awaiter's cancellation.

use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};

use kumihimo_executor::Shielded;

use crate::into_task;

/// Waits for a task, which goes on if the awaiter is cancelled.
///
/// A future becomes a task at once; a `Task`, `&Task` or `SharedTask` is taken as it is, so `shield(&task)` leaves the
/// task with its owner.
///
/// | waits for | on an error | who is cancelled |
/// |---|---|---|
/// | the task | its panic or cancellation arrives in the awaiter | only the awaiter, at once; the task runs on |
///
/// At the end of `run` the task is cancelled like every other.
#[doc(alias = "asyncio.shield")]
#[track_caller]
pub fn shield<F>(future: F) -> Shield<F::Output>
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    Shield(into_task(future.into_future()).shielded())
}

/// See [`shield`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Shield<T>(Shielded<T>);

impl<T> Future for Shield<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx)
    }
}
