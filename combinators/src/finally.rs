//! `finally`: clean-up that runs on every way out, and may await.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kumihimo_context::{CancelledError, Forward, Scoped, discard, scope};
use kumihimo_executor::{create_task, is_running};
use pin_project_lite::pin_project;

use crate::timeout::raise;

/// Runs `work`, then `clean_up`: on return, on cancellation and on panic. The clean-up may await.
///
/// It is `try: ... finally: ...`. What `work` came to (its value, the cancellation, the panic) goes on when the clean-up
/// has ended. A panic in the clean-up replaces it.
///
/// | waits for | on a cancellation | who is cancelled |
/// |---|---|---|
/// | `work`, then `clean_up` | drops `work`, runs `clean_up`, raises | `work`; a second request cuts `clean_up` short |
///
/// A future that is dropped by other code, not cancelled, cannot await any more: neither part runs on then. That is what
/// `select!` and `abortable` do to the loser, `try_join!` to who is left after an error, and a panic or a cancellation of one branch
/// of `join!` to the others. `FuturesUnordered`, `FuturesOrdered`, `buffer_unordered`, and `join_all` of more than 30 do not even
/// pass a cancellation of the task on to their branches: see [`catch_cancelled`](crate::catch_cancelled). [`gather`](crate::gather)
/// and [`task_group`](crate::task_group) do, and wait for the clean-up. Use [`or_spawn`](Finally::or_spawn) where it must run even
/// so.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver, create_task, yield_now};
/// use kumihimo_combinators::finally;
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let task = create_task(finally(std::future::pending::<()>(), async {
///     yield_now().await; // Awaits are fine here.
///     println!("cleaned up");
/// }));
/// yield_now().await;
/// task.cancel();
/// assert!(task.outcome().await.is_err());
/// # }, |_| {}).unwrap();
/// ```
#[doc(alias = "try")]
pub fn finally<F: IntoFuture, C: IntoFuture>(work: F, clean_up: C) -> Finally<F::IntoFuture, C::IntoFuture> {
    let (work, clean_up) = (Some(work.into_future()), clean_up.into_future());
    Finally { work, clean_up, result: None, forward: Forward::new() }
}

/// What the work came to.
#[derive(Debug)]
enum Came<T> {
    Value(T),
    Cancelled(CancelledError),
    Panicked(Box<dyn Any + Send>),
    /// Being raised.
    Raising(CancelledError),
}

pin_project! {
    /// See [`finally`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Finally<F: Future, C> {
        // Until it has ended, or was dropped for a cancellation.
        #[pin]
        work: Option<F>,
        #[pin]
        clean_up: C,
        // What the work came to, while the clean-up runs.
        result: Option<Came<F::Output>>,
        // Owes the request that cancelled the work.
        forward: Forward,
    }
}

impl<F: Future, C: Future + Send + 'static> Finally<F, C>
where
    C::Output: Send + 'static,
{
    /// Has the clean-up run as a task of its own, if the future is dropped after it was first polled and before
    /// its end. Where the work never began, there is nothing to clean up.
    ///
    /// Outside of a running loop, where no task can be made, the clean-up is dropped too.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use kumihimo_executor::{Builder, ParkDriver, yield_now};
    /// # use kumihimo_combinators::finally;
    /// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
    /// # runtime.block_on(async {
    /// let mut work = Box::pin(finally(yield_now(), async { println!("cleaned up") }).or_spawn());
    /// std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx))).await;
    /// // Whatever gives up on it, as `select!` does on the loser:
    /// drop(work);
    /// yield_now().await; // The clean-up runs meanwhile.
    /// # }, |_| {}).unwrap();
    /// ```
    pub fn or_spawn(self) -> FinallyOrSpawn<F, C> {
        let Finally { work, clean_up, result, forward } = self;
        let clean_up = Spawning { clean_up: Some(Box::pin(clean_up)), begun: false };
        FinallyOrSpawn { inside: Finally { work, clean_up, result, forward } }
    }
}

impl<F: Future, C: Future> Future for Finally<F, C> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(work) = this.work.as_mut().as_pin_mut() {
            let came = match catch_unwind(AssertUnwindSafe(|| scope(|| work.poll(cx)))) {
                Ok(Scoped::Pending) => return Poll::Pending,
                Ok(Scoped::Ready(value)) => Came::Value(value),
                Ok(Scoped::Cancelled(error)) => {
                    this.forward.owe(&error);
                    Came::Cancelled(error)
                }
                Err(payload) => Came::Panicked(payload),
            };
            // A destructor of the work may panic; the clean-up comes first even so.
            let dropped = catch_unwind(AssertUnwindSafe(|| discard(|| this.work.as_mut().set(None))));
            *this.result = Some(dropped.map_or_else(Came::Panicked, |()| came));
        }
        if !matches!(this.result, Some(Came::Raising(_))) {
            let owed = std::mem::take(this.forward);
            // A panic of the clean-up takes the cancellation's place: it drops what is owed here.
            let owed = SettledByPanic(owed);
            let polled = this.clean_up.poll(cx);
            *this.forward = owed.keep();
            ready!(polled);
        }
        match this.result.take().expect("polled after its end") {
            Came::Value(value) => Poll::Ready(value),
            Came::Panicked(payload) => {
                this.forward.settle();
                resume_unwind(payload)
            }
            Came::Cancelled(error) | Came::Raising(error) => {
                *this.result = Some(Came::Raising(error.clone()));
                raise(error, cx)
            }
        }
    }
}

/// Something that is owed, unless there is a panic.
struct SettledByPanic(Forward);

impl SettledByPanic {
    fn keep(mut self) -> Forward {
        std::mem::take(&mut self.0)
    }
}

impl Drop for SettledByPanic {
    fn drop(&mut self) {
        self.0.settle();
    }
}

pin_project! {
    /// See [`Finally::or_spawn`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct FinallyOrSpawn<F: Future, C>
    where
        C: Future,
        C: Send,
        C: 'static,
        C::Output: Send,
        C::Output: 'static,
    {
        #[pin]
        inside: Finally<F, Spawning<C>>,
    }
}

impl<F: Future, C> Future for FinallyOrSpawn<F, C>
where
    C: Future + Send + 'static,
    C::Output: Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut inside = self.project().inside;
        inside.as_mut().project().clean_up.get_mut().begun = true;
        inside.poll(cx)
    }
}

/// A clean-up that becomes a task when it is dropped unfinished.
struct Spawning<C>
where
    C: Future + Send + 'static,
    C::Output: Send + 'static,
{
    /// Until it has ended.
    clean_up: Option<Pin<Box<C>>>,
    /// The work has begun.
    begun: bool,
}

impl<C> Future for Spawning<C>
where
    C: Future + Send + 'static,
    C::Output: Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(clean_up) = &mut self.clean_up {
            ready!(clean_up.as_mut().poll(cx));
            self.clean_up = None;
        }
        Poll::Ready(())
    }
}

impl<C> Drop for Spawning<C>
where
    C: Future + Send + 'static,
    C::Output: Send + 'static,
{
    fn drop(&mut self) {
        if let Some(clean_up) = self.clean_up.take()
            && self.begun
            && is_running()
        {
            drop(create_task(clean_up));
        }
    }
}
