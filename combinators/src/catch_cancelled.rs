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
/// # In combinators of others
///
/// A cancellation finds its place by polling. Those of other crates that poll all their branches (`join!`, `select!`, `Shared`,
/// boxed futures, `join_all` of up to 30) let it in: the first scope or awaited task, in the order of polling, takes it. It is
/// one request, so the other branches are not asked. They go on, if it is swallowed; if it is raised, what is around drops them.
///
/// `FuturesUnordered`, `FuturesOrdered`, `buffer_unordered`, and `join_all` of more poll only the branches that were woken, so a
/// cancellation of the task passes the others by: the scope around takes it, and all branches are dropped, whatever scopes are
/// in them. Tasks that they await are not cancelled, but run on. (A time-out *in* a branch wakes it, and works.)
///
/// Use [`gather`](crate::gather) or [`task_group`](crate::task_group) where each branch has something to clean up: there each is
/// a task and is asked, and waited for. Or [`Finally::or_spawn`](crate::Finally::or_spawn), which runs its clean-up in any case.
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
