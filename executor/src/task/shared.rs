//! `SharedTask<T>`: one task for many awaiters.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kumihimo_context::model::atomic;

use super::failure::ResultError;
use super::handle::TaskHandle;
use super::header::TaskRef;
use super::join::{self, Join};
use super::owned::{Outcome, Task};
use super::report;
use super::state::Ended;

/// A task that any number of awaiters share: each gets a clone of the output.
///
/// It is made by [`Task::shared`](crate::Task::shared), or by awaiting `&task`. Everything said of
/// [`Task`](crate::Task) about cancellation and panics holds here too; the first awaiter gets a panic's payload, later
/// ones its message.
pub struct SharedTask<T> {
    /// The task; stands for one interest, and lends itself as a handle.
    handle: std::mem::ManuallyDrop<TaskHandle>,
    join: Join,
    /// The output had been moved out when this was made.
    taken: bool,
    /// `Send` and `Sync` only if `T` is both: clones may be used, and outputs cloned and dropped, on several threads.
    output: PhantomData<std::sync::Arc<T>>,
}

/// Clones an output from one address to another.
pub(crate) type CloneFn = unsafe fn(*const (), *mut ());

unsafe fn clone_into<T: Clone>(from: *const (), to: *mut ()) {
    // SAFETY: the caller gives a live `T` and room for another.
    unsafe { to.cast::<T>().write((*from.cast::<T>()).clone()) };
}

/// A clone of the output of a task that ended with a value; the caller owns an interest in it.
pub(crate) fn clone_output<T: Clone>(task: TaskRef) -> T {
    report::looked_at(task);
    // One at a time: two owners on two threads may clone a `T` that is not `Sync`.
    let _sharing = task.header().extras().sharing.lock();
    // Not just read: such a `T` may change as it is cloned.
    task.header().output.is_written();
    // SAFETY: the task ended with a value, and an owner's interest keeps it in place.
    unsafe { (*task.stage::<T>()).clone() }
}

/// A clone of the output if others own it besides the caller; `None` if the caller is alone and may move it out.
pub(crate) fn shared_clone<T>(task: TaskRef) -> Option<T> {
    if task.header().state.sole_interest() {
        return None;
    }
    report::looked_at(task);
    if task.header().state.sole_owner() {
        return None;
    }
    let sharing = task.header().extras().sharing.lock();
    let clone =
        sharing.expect("an output is shared through `SharedTask` only, which leaves its clone function");
    let mut output = std::mem::MaybeUninit::<T>::uninit();
    task.header().output.is_written();
    // SAFETY: `SharedTask<T>` left the function for this very `T`; the output is there, and the lock makes us alone.
    unsafe {
        clone(task.stage::<()>(), output.as_mut_ptr().cast());
        Some(output.assume_init())
    }
}

impl<T: Clone> SharedTask<T> {
    /// Another owner of the output of `task`, made from an owner.
    pub(crate) fn share(task: TaskRef, taken: bool) -> SharedTask<T> {
        *task.header().extras().sharing.lock() = Some(clone_into::<T>);
        task.header().state.add_interest();
        SharedTask {
            handle: std::mem::ManuallyDrop::new(TaskHandle::from_owned(task)),
            join: Join::default(),
            taken,
            output: PhantomData,
        }
    }

    /// The output of a task that has ended, as a clone; see [`Task::try_result`](crate::Task::try_result).
    ///
    /// # Errors
    ///
    /// If the task has not ended, or how it failed.
    pub fn try_result(&self) -> Result<T, ResultError> {
        match self.handle.task().header().state.ended() {
            Some(Ended::Value) if !self.taken => Ok(clone_output(self.handle.task())),
            None | Some(Ended::Value) => Err(ResultError::NotReady),
            Some(_) => Err(ResultError::Task(join::failure(self.handle.task()).look())),
        }
    }

    /// How the task ends, as a value; see [`Task::outcome`](crate::Task::outcome).
    pub fn outcome(self) -> Outcome<T> {
        Task::from(self).outcome()
    }

    fn output(&mut self) -> T {
        assert!(!self.taken, "a task was awaited again after it had given its output");
        self.join.settle();
        clone_output(self.handle.task())
    }
}

impl<T> SharedTask<T> {
    /// Whether the output had been moved out when this was made.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }
}

impl<T> From<SharedTask<T>> for Task<T> {
    /// The same task, as one more owner among those that share it; the last of them moves the output out.
    fn from(shared: SharedTask<T>) -> Task<T> {
        let mut shared = std::mem::ManuallyDrop::new(shared);
        let (task, join) = (shared.handle.task(), std::mem::take(&mut shared.join));
        Task::from_parts(task, join, shared.taken)
    }
}

impl<T: Clone> Future for SharedTask<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let _atomic = atomic();
        let this = self.get_mut();
        let task = this.handle.task();
        match ready!(this.join.poll_end(task, cx)) {
            Ended::Value => Poll::Ready(this.output()),
            _ => this.join.raise(join::failure(task), cx),
        }
    }
}

// Nothing in a `SharedTask` is pinned: the future is elsewhere.
impl<T> Unpin for SharedTask<T> {}

impl<T: Clone> Clone for SharedTask<T> {
    fn clone(&self) -> SharedTask<T> {
        let _atomic = atomic();
        SharedTask::share(self.handle.task(), self.taken)
    }
}

impl<T> Deref for SharedTask<T> {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.handle
    }
}

impl<T> Drop for SharedTask<T> {
    fn drop(&mut self) {
        let _atomic = atomic();
        let task = self.handle.task();
        self.join.leave(task);
        task.drop_interest(self.taken);
    }
}

impl<T> fmt::Debug for SharedTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
