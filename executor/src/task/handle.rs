//! `TaskHandle`: a task without its output.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kumihimo_context::model::atomic;
use kumihimo_context::{CancelMessage, WaitWord};

use super::cancel::{self, Due, Inside};
use super::header::TaskRef;
use super::id::TaskId;
use super::join::Join;
use super::state::{Ended, Wake};
use crate::model::trace;
use crate::{scheduler, variables};

/// A task, whatever it returns: what [`current_task`](crate::current_task) and [`all_tasks`](crate::all_tasks) give.
///
/// Handles are cheap to clone, may be used from any thread and may outlive the runtime. Two handles are equal if they
/// stand for the same task.
#[doc(alias = "asyncio.Task")]
pub struct TaskHandle(TaskRef);

impl TaskHandle {
    /// A handle that owns a reference, which the caller passes to it.
    pub(crate) fn from_owned(task: TaskRef) -> TaskHandle {
        TaskHandle(task)
    }

    /// A handle with a reference of its own.
    pub(crate) fn new(task: TaskRef) -> TaskHandle {
        task.header().state.add_ref();
        TaskHandle(task)
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.0
    }

    /// Requests that the task be cancelled: true unless it has ended.
    ///
    /// The task is not interrupted: a cancellation is raised at the await where it is suspended, the next time it runs.
    /// It may clean up, and may catch the cancellation. See `catch_cancelled`.
    #[doc(alias = "asyncio.Task.cancel")]
    pub fn cancel(&self) -> bool {
        let _atomic = atomic();
        cancel::cancel(self.0, None)
    }

    /// [`cancel`](Self::cancel), with a message for whoever catches the cancellation.
    pub fn cancel_with(&self, message: impl Into<Arc<str>>) -> bool {
        let _atomic = atomic();
        cancel::cancel(self.0, Some(message.into()))
    }

    /// The number of requests to cancel that were not taken back.
    #[doc(alias = "asyncio.Task.cancelling")]
    pub fn cancelling(&self) -> usize {
        cancel::cancelling(self.0)
    }

    /// Takes one request to cancel back, and gives the number that remain.
    ///
    /// At zero, a request that is not on its way yet (the task was not suspended when it came) is dropped.
    #[doc(alias = "asyncio.Task.uncancel")]
    pub fn uncancel(&self) -> usize {
        let _atomic = atomic();
        cancel::uncancel(self.0)
    }

    /// Requests the cancellation of a part of the task, which awaits `inside`: for time-outs and groups.
    ///
    /// Where the answer is [`Inside::Due`], the caller has that part polled.
    #[doc(hidden)]
    pub fn cancel_inside(&self, inside: WaitWord, message: CancelMessage) -> Inside {
        let _atomic = atomic();
        cancel::cancel_inside(self.0, inside, message)
    }

    /// Takes the request of a part of the task back.
    #[doc(hidden)]
    pub fn uncancel_inside(&self) {
        let _atomic = atomic();
        cancel::uncancel_inside(self.0);
    }

    /// How many requests from others the task has not heard of yet.
    #[doc(hidden)]
    pub fn unheard_requests(&self) -> usize {
        cancel::unheard(self.0)
    }

    /// The number of requests that were not taken back, without those of parts of the task; negative if somebody has taken back
    /// more.
    #[doc(hidden)]
    pub fn requests_from_outside(&self) -> isize {
        cancel::requests_from_outside(self.0)
    }

    /// Whether a request to a part of the task still has to be delivered.
    #[doc(hidden)]
    pub fn is_due(&self, due: Due) -> bool {
        cancel::is_due(self.0, due)
    }

    /// Whether the task has ended: with a value, a panic, or cancelled.
    #[doc(alias = "asyncio.Task.done")]
    pub fn done(&self) -> bool {
        self.0.header().state.ended().is_some()
    }

    /// Whether the task ended cancelled.
    #[doc(alias = "asyncio.Task.cancelled")]
    pub fn cancelled(&self) -> bool {
        self.0.header().state.ended() == Some(Ended::Cancelled)
    }

    /// The task's name: `Task-` and its id, unless one was set.
    #[doc(alias = "asyncio.Task.get_name")]
    pub fn name(&self) -> String {
        let own = self.0.header().try_extras().and_then(|extras| extras.name.lock().clone());
        own.map_or_else(|| format!("Task-{}", self.id()), |name| name.to_string())
    }

    /// Gives the task a name.
    #[doc(alias = "asyncio.Task.set_name")]
    pub fn set_name(&self, name: impl Into<String>) {
        let name = name.into();
        trace::named(self.0.header(), &name);
        *self.0.header().extras().name.lock() = Some(Arc::from(name));
    }

    /// The task's id, unique in the process.
    pub fn id(&self) -> TaskId {
        self.0.header().id
    }

    /// The id of the task that created this one.
    pub fn parent_id(&self) -> Option<TaskId> {
        Some(self.0.header().parent).filter(|parent| *parent != TaskId::NONE)
    }

    /// Whether it is the runtime's own business.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.header().parent == TaskId::HIDDEN
    }

    /// Has the task polled again: what its waker does.
    pub(crate) fn wake(self) {
        let this = std::mem::ManuallyDrop::new(self);
        this.0.wake();
    }

    /// Wakes the task, which the driver does on one thread.
    #[cold]
    pub(crate) fn wake_in_turn(self) {
        if !scheduler::wake_in_turn(&self) && self.0.header().state.wake(false, false) == Wake::Schedule {
            scheduler::schedule(self.0);
        }
    }

    /// Where the task was created.
    pub fn created_at(&self) -> &'static Location<'static> {
        self.0.header().site
    }

    /// Waits until the task has ended, in whatever way.
    ///
    /// # Cancellation
    ///
    /// Is for the awaiter alone: the task is not cancelled.
    pub fn wait_end(&self) -> WaitEnd {
        WaitEnd { handle: self.clone(), join: Join::default() }
    }

    /// Has `callback` called when the task has ended; soon, if it has ended already.
    ///
    /// Callbacks run through the loop, never inside of what ended the task, each once, in the order in which they were
    /// added, and one at a time: they never overlap. There is no current task in there. A callback runs in the context
    /// variables that are current now. If it panics, the loop's exception handler is told; the others run all the same.
    #[doc(alias = "asyncio.Task.add_done_callback")]
    pub fn add_done_callback(&self, callback: impl FnOnce(&TaskHandle) + Send + 'static) -> CallbackId {
        let _atomic = atomic();
        let context = variables::inherited();
        let this = self.clone();
        let callback = Box::new(move || variables::run_in_context(context.as_ref(), || callback(&this)));
        let token = match self.0.header().waiters.call_back(callback) {
            Ok(token) => Some(token),
            Err(callback) => {
                self.0.wait_complete();
                scheduler::call_soon(self.0.header(), callback);
                None
            }
        };
        CallbackId { task: self.id(), token }
    }

    /// Removes a callback; false if it was removed before, or the task has ended.
    #[doc(alias = "asyncio.Task.remove_done_callback")]
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        let _atomic = atomic();
        id.task == self.id() && id.token.is_some_and(|token| self.0.header().waiters.remove_callback(token))
    }

    /// Has the task run in this context, itself. For the main task, before it begins.
    #[doc(hidden)]
    pub fn set_context(&self, context: variables::Context) {
        variables::give(self.0, context);
    }

    /// Another handle of the same task.
    pub fn handle(&self) -> TaskHandle {
        self.clone()
    }
}

impl Clone for TaskHandle {
    fn clone(&self) -> TaskHandle {
        TaskHandle::new(self.0)
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        let _atomic = atomic();
        self.0.drop_ref();
    }
}

impl PartialEq for TaskHandle {
    fn eq(&self, other: &TaskHandle) -> bool {
        self.0 == other.0
    }
}

impl Eq for TaskHandle {}

impl Hash for TaskHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0.header().state.ended() {
            None => "pending",
            Some(Ended::Value) => "finished",
            Some(Ended::Cancelled) => "cancelled",
            Some(Ended::Panicked) => "panicked",
        };
        write!(f, "<Task {:?} {state}, created at {}>", self.name(), self.created_at())
    }
}

/// A callback of a task, to be [removed](TaskHandle::remove_done_callback) with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackId {
    /// Whose callback.
    task: TaskId,
    /// Where it stands; `None` if the task had ended.
    token: Option<u64>,
}

impl CallbackId {
    /// Whether the task had not ended when the callback was added.
    #[cfg(all(test, kumihimo_loom))]
    pub(crate) fn is_pending(self) -> bool {
        self.token.is_some()
    }
}

/// See [`TaskHandle::wait_end`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitEnd {
    handle: TaskHandle,
    join: Join,
}

impl Future for WaitEnd {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _atomic = atomic();
        let task = self.handle.task();
        self.join.poll_end_alone(task, cx).map(drop)
    }
}

impl Drop for WaitEnd {
    fn drop(&mut self) {
        let _atomic = atomic();
        self.join.leave(self.handle.task());
    }
}
