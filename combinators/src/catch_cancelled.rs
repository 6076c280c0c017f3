//! `catch_cancelled`: `try: ... except CancelledError`.

use std::pin::Pin;
use std::task::{Context, Poll};

use kumihimo_context::{CancelledError, Scoped, discard, scope};
use pin_project_lite::pin_project;

/// Runs a future, and gives a cancellation that arrives in it as a value.
///
/// It is `try: ... except CancelledError`: when the task is cancelled while `future` is suspended, `future` is dropped
/// there (its own scopes clean up first), and the error is returned. Awaits are fine after that.
/// [Raise](CancelledError::raise) the error to go on being cancelled, or leave it out to swallow the cancellation.
///
/// | waits for | on a cancellation | who is cancelled |
/// |---|---|---|
/// | `future` | returns `Err` once everything inside has cleaned up | `future` |
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver, create_task, yield_now};
/// use kumihimo_combinators::catch_cancelled;
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let task = create_task(async {
///     match catch_cancelled(std::future::pending::<()>()).await {
///         Ok(()) => "done",
///         Err(_cancelled) => "swallowed",
///     }
/// });
/// yield_now().await;
/// task.cancel();
/// assert_eq!(task.await, "swallowed");
/// # }, |_| {}).unwrap();
/// ```
#[doc(alias = "asyncio.CancelledError")]
#[doc(alias = "try")]
#[doc(alias = "except")]
pub fn catch_cancelled<F: IntoFuture>(future: F) -> CatchCancelled<F::IntoFuture> {
    CatchCancelled { inside: Some(future.into_future()) }
}

pin_project! {
    /// See [`catch_cancelled`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CatchCancelled<F> {
        // Empty once it has ended, or was dropped for a cancellation.
        #[pin]
        inside: Option<F>,
    }
}

impl<F: Future> Future for CatchCancelled<F> {
    type Output = Result<F::Output, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inside = self.project().inside;
        let polled = scope(|| inside.as_mut().as_pin_mut().expect("polled after its end").poll(cx));
        match polled {
            Scoped::Pending => Poll::Pending,
            Scoped::Ready(value) => {
                inside.set(None);
                Poll::Ready(Ok(value))
            }
            Scoped::Cancelled(error) => {
                discard(|| inside.set(None));
                Poll::Ready(Err(error))
            }
        }
    }
}
