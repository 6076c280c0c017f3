//! `Task<T>`: a task together with its output.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::model::atomic;

use super::failure::{ResultError, TaskError};
use super::handle::TaskHandle;
use super::header::TaskRef;
use super::join::{self, Join};
use super::shared::{self, SharedTask};
use super::shielded::Shielded;
use super::state::Ended;
use super::waiters::{IsErr, Observer};

/// A running task: asyncio's `Task`.
///
/// Awaiting it gives what its future returned. If the task was cancelled, its cancellation is raised in the awaiter; if
/// it panicked, the panic goes on there. Dropping a `Task` detaches it: it runs on to its end. Everything that does not
/// need the output (cancelling, names, `done()`) is a method of [`TaskHandle`], to which a `Task` dereferences.
///
/// `(&task).await` awaits a task without using it up, any number of times, and gives clones of its output; for several
/// awaiters of their own see [`shared`](Self::shared).
///
/// # Cancellation
///
/// A task that is cancelled while it awaits another passes the request on to that one, and goes on waiting for its end.
///
/// # Panics
///
/// If a task awaits itself. Outside of a kumihimo task, if the awaited task was cancelled (use [`outcome`](Self::outcome)
/// there). Inside of one, a `block_on` of some other executor hides that from nobody: a cancellation raised in there is lost, and
/// the `block_on` waits for ever. Await, or `outcome()` there, too.
#[doc(alias = "asyncio.Task")]
pub struct Task<T> {
    /// The task; stands for one interest, and lends itself as a handle.
    handle: std::mem::ManuallyDrop<TaskHandle>,
    join: Join,
    /// The output was moved out.
    taken: bool,
    /// A `Task` owns a `T` as far as threads are concerned: it is `Send` if `T` is, `Sync` if `T` is both.
    output: PhantomData<Output<T>>,
}

/// Carries the bounds that a task's output needs to be reached from several threads.
struct Output<T>(PhantomData<T>);

// SAFETY: a shared `Task` lets other threads clone the output (under a lock), and drop the clones there, so `T` must be
// `Send`; it is never reached by two threads at once through a shared reference, but `Sync` is asked for all the same, so
// that the bound stays true when that changes.
unsafe impl<T: Send + Sync> Sync for Output<T> {}

impl<T> Task<T> {
    /// Whether the output was moved out.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    /// Takes over an interest.
    pub(crate) fn from_owned(task: TaskRef) -> Task<T> {
        Task::from_parts(task, Join::default(), false)
    }

    /// Takes over an interest, and how far waiting has got.
    pub(crate) fn from_parts(task: TaskRef, join: Join, taken: bool) -> Task<T> {
        let handle = std::mem::ManuallyDrop::new(TaskHandle::from_owned(task));
        Task { handle, join, taken, output: PhantomData }
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.handle.task()
    }

    /// How the task ends, as a value: `Err` where awaiting it would raise or panic.
    ///
    /// # Cancellation
    ///
    /// As for the task itself: the request is passed on. If it ends the task, the awaiter's cancellation is raised here;
    /// `Err(TaskError::Cancelled)` is for other people's requests.
    pub fn outcome(self) -> Outcome<T> {
        Outcome(self)
    }

    /// The output of a task that has ended, as a clone.
    ///
    /// # Errors
    ///
    /// [`ResultError::NotReady`] if the task has not ended or its output was moved out, otherwise how it failed.
    #[doc(alias = "asyncio.Task.result")]
    pub fn try_result(&self) -> Result<T, ResultError>
    where
        T: Clone,
    {
        match self.task().header().state.ended() {
            Some(Ended::Value) if !self.taken => Ok(shared::clone_output(self.task())),
            None | Some(Ended::Value) => Err(ResultError::NotReady),
            Some(_) => Err(ResultError::Task(join::failure(self.task()).look())),
        }
    }

    /// What the task ended with, moved out (or cloned, if others share it); `None` while it runs.
    ///
    /// For combinators, which look at many tasks; it neither raises nor panics.
    pub fn try_take(&mut self) -> Option<Result<T, TaskError>> {
        Some(match self.task().header().state.ended()? {
            Ended::Value => Ok(self.take()),
            _ => Err(join::failure(self.task()).into()),
        })
    }

    /// Has `observer` told when the task ends, instead of waking who awaits it. If it has ended already, gives whether with
    /// a value, and tells nobody.
    ///
    /// Nobody is told once the `Task` is dropped.
    pub fn observe(&mut self, observer: Arc<dyn Observer>, index: usize) -> Option<bool> {
        // SAFETY: nothing looks at the output.
        unsafe { self.observe_with(observer, index, None) }
    }

    /// As [`observe`](Self::observe); an output that is an `Err`, says `is_err`, counts as no value.
    ///
    /// # Safety
    ///
    /// `is_err`, if it is there, looks at a `T`.
    pub(crate) unsafe fn observe_with(
        &mut self,
        observer: Arc<dyn Observer>,
        index: usize,
        is_err: Option<IsErr>,
    ) -> Option<bool> {
        let (task, is_err) = (self.handle.task(), is_err.filter(|_| !self.taken));
        // SAFETY: as the caller says.
        if unsafe { self.join.observe(task, observer, index, is_err) } {
            return None;
        }
        // SAFETY: this is an owner, and a value was not moved out.
        let is_ok = || is_err.is_none_or(|is_err| !unsafe { is_err(task.stage::<()>()) });
        Some(task.header().state.ended() == Some(Ended::Value) && is_ok())
    }

    /// Waits for the task without passing cancellations on to it: what `shield` is made of.
    pub fn shielded(self) -> Shielded<T> {
        Shielded::new(self)
    }

    /// Waits for the end, as a leaf.
    pub(crate) fn poll_end_alone(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.join.poll_end_alone(self.handle.task(), cx)
    }

    /// Raises what the task failed with.
    pub(crate) fn raise<U>(&mut self, cx: &Context<'_>) -> Poll<U> {
        let failure = join::failure(self.handle.task());
        self.join.raise(failure, cx)
    }

    /// How the task failed, if it did.
    pub(crate) fn try_failure(&self) -> Option<TaskError> {
        match self.task().header().state.ended() {
            None | Some(Ended::Value) => None,
            Some(_) => Some(join::failure(self.task()).into()),
        }
    }

    /// A handle to the same task that can be cloned, and awaited by everybody who has a clone.
    pub fn shared(self) -> SharedTask<T>
    where
        T: Clone,
    {
        (&self).into_future()
    }

    /// The output of a task that ended with a value.
    pub(crate) fn take(&mut self) -> T {
        assert!(!self.taken, "a task was awaited again after it had given its output");
        let task = self.task();
        match shared::shared_clone(task) {
            // Others may still want it.
            Some(clone) => clone,
            None => {
                self.taken = true;
                task.header().output.is_written();
                // SAFETY: the task ended with a value, this is the only owner of the output, and `taken` sees to it that
                // nobody reads or drops it again.
                unsafe { ptr::read(task.stage::<T>()) }
            }
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let _atomic = atomic();
        let this = self.get_mut();
        let task = this.handle.task();
        match ready!(this.join.poll_end(task, cx)) {
            Ended::Value => {
                this.join.settle();
                Poll::Ready(this.take())
            }
            _ => this.join.raise(join::failure(task), cx),
        }
    }
}

// Nothing in a `Task` is pinned: the future is elsewhere.
impl<T> Unpin for Task<T> {}

impl<T: Clone> IntoFuture for &Task<T> {
    type Output = T;
    type IntoFuture = SharedTask<T>;

    fn into_future(self) -> SharedTask<T> {
        SharedTask::share(self.task(), self.taken)
    }
}

impl<T> Deref for Task<T> {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.handle
    }
}

impl<T> Drop for Task<T> {
    #[inline]
    fn drop(&mut self) {
        let _atomic = atomic();
        let task = self.handle.task();
        self.join.leave(task);
        task.drop_interest(self.taken);
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A task's end as a value; see [`Task::outcome`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Outcome<T>(Task<T>);

impl<T> Future for Outcome<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _atomic = atomic();
        let this = &mut self.get_mut().0;
        let task = this.handle.task();
        match ready!(this.join.poll_end(task, cx)) {
            Ended::Value => {
                this.join.settle();
                Poll::Ready(Ok(this.take()))
            }
            _ => this.join.outcome(join::failure(task), cx),
        }
    }
}

impl<T> Unpin for Outcome<T> {}

impl<T> fmt::Debug for Outcome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outcome").field(&self.0).finish()
    }
}
