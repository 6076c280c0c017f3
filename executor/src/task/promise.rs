//! `Promise<T>`: asyncio's `Future`, a value that somebody will set.
//!
//! A promise is a task without a body: it is awaited, shielded, gathered and called back as one, by the same code. It is
//! suspended until somebody settles it, which ends it there and then.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kumihimo_context::CancelMessage;

use super::ResultError;
use super::cell;
use super::failure::Failure;
use super::handle::TaskHandle;
use super::harness;
use super::header::TaskRef;
use super::id::{self, TaskId};
use super::owned::Task;
use super::shared::SharedTask;
use super::state::{Ended, State};
use crate::scheduler::{self, Shared};

/// A value that somebody will set: asyncio's `Future`.
///
/// It is made by the loop's `create_future`. Clones are handles on the same promise. Awaiting one gives a clone of the
/// value to each awaiter; everything that does not need the value (`cancel()`, `done()`, callbacks) is a method of
/// [`TaskHandle`], to which a promise dereferences. What can fail is a promise of a `Result`.
///
/// # Cancellation
///
/// A task that is cancelled while it awaits a promise cancels the promise, at once; use `shield` to keep it. Awaiting a
/// cancelled promise raises the cancellation. A promise whose last handle is dropped before it was set is cancelled, as nobody
/// can set it any more.
#[doc(alias = "asyncio.Future")]
pub struct Promise<T>(Arc<Owner<T>>);

/// Owns an interest in the promise's task.
struct Owner<T> {
    task: Task<T>,
    /// Values go in as well as out: a promise of one type is no promise of a shorter-lived one.
    invariant: PhantomData<fn(T) -> T>,
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        cancel(
            self.task.task(),
            Some(Arc::from("every handle of the promise was dropped before it was set")),
        );
    }
}

/// The body that a promise lacks.
struct Unset<T>(PhantomData<fn() -> T>);

impl<T> Future for Unset<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        Poll::Pending
    }
}

impl<T: Send + 'static> Promise<T> {
    /// A promise of this loop.
    #[track_caller]
    pub(crate) fn new(shared: &Arc<Shared>) -> Promise<T> {
        let birth = (id::foreign(), TaskId::PROMISE, Location::caller());
        let future = Unset::<T>(PhantomData);
        let task = cell::allocate(future, State::promise(), Arc::as_ptr(shared), birth);
        // What waits for it may have to be called back by the loop, as long as the promise lasts.
        *task.header().extras().promised_by.lock() = Some(shared.clone());
        Promise(Arc::new(Owner { task: Task::from_owned(task), invariant: PhantomData }))
    }
}

impl<T> Promise<T> {
    /// Who owns the value.
    pub(crate) fn owner(&self) -> &Task<T> {
        &self.0.task
    }

    /// Sets the value, and readies whoever waits for it.
    ///
    /// # Errors
    ///
    /// If the promise is done: a value was set already, or it was cancelled. This value is dropped.
    #[doc(alias = "asyncio.Future.set_result")]
    pub fn set_result(&self, value: T) -> Result<(), InvalidStateError> {
        let task = self.0.task.task();
        // SAFETY: the promise is seized, so its stage is empty (`Unset` needs no drop) and ours; it has room for a `T`.
        let store = || unsafe {
            task.header().output.is_written();
            task.stage::<T>().write(value);
        };
        if settle(task, Ended::Value, store) { Ok(()) } else { Err(InvalidStateError(())) }
    }

    /// The value, as a clone.
    ///
    /// # Errors
    ///
    /// [`ResultError::NotReady`] while it is not set, otherwise that it was cancelled.
    #[doc(alias = "asyncio.Future.result")]
    pub fn try_result(&self) -> Result<T, ResultError>
    where
        T: Clone,
    {
        self.0.task.try_result()
    }
}

impl<T, E> Promise<Result<T, E>> {
    /// Sets an error, and readies whoever waits.
    ///
    /// # Errors
    ///
    /// As for [`set_result`](Self::set_result).
    #[doc(alias = "asyncio.Future.set_exception")]
    pub fn set_exception(&self, error: E) -> Result<(), InvalidStateError> {
        self.set_result(Err(error))
    }
}

/// Cancels a promise; false if it is done.
pub(crate) fn cancel(task: TaskRef, message: CancelMessage) -> bool {
    settle(task, Ended::Cancelled, || harness::store(task, Failure::Cancelled(message)))
}

fn settle(task: TaskRef, ended: Ended, store: impl FnOnce()) -> bool {
    if !task.header().state.seize() {
        // Somebody else is at it: nobody finds it half settled.
        task.wait_complete();
        return false;
    }
    store();
    let runtime = scheduler::upgrade(task.header().runtime);
    harness::complete(task, ended, Arc::as_ptr(&runtime));
    true
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Promise<T> {
        Promise(self.0.clone())
    }
}

impl<T> Deref for Promise<T> {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.0.task
    }
}

impl<T: Clone> IntoFuture for &Promise<T> {
    type Output = T;
    type IntoFuture = SharedTask<T>;

    fn into_future(self) -> SharedTask<T> {
        (&self.0.task).into_future()
    }
}

impl<T: Clone> IntoFuture for Promise<T> {
    type Output = T;
    type IntoFuture = SharedTask<T>;

    fn into_future(self) -> SharedTask<T> {
        (&self).into_future()
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.task.fmt(f)
    }
}

/// A promise was settled already: asyncio's `InvalidStateError`.
#[doc(alias = "asyncio.InvalidStateError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStateError(());

impl fmt::Display for InvalidStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the promise is done: its value was set, or it was cancelled, before; a promise is settled once",
        )
    }
}

impl std::error::Error for InvalidStateError {}
