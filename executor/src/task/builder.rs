//! `Builder`: `create_task` with asyncio's keyword arguments.

use std::panic::Location;
use std::sync::Arc;

use super::owned::Task;
use crate::scheduler;
use crate::variables::Context;

/// Settings for a new task: asyncio's keyword arguments of `create_task`.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver};
/// use kumihimo_executor::TaskBuilder;
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let task = TaskBuilder::new().name("answer").eager(true).spawn(async { 42 });
/// assert!(task.done() && task.name() == "answer");
/// # }, |_| {}).unwrap();
/// ```
#[doc(alias = "asyncio.create_task")]
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes no task until `spawn` is called"]
pub struct TaskBuilder {
    /// The name, instead of a generated one.
    pub(crate) name: Option<Arc<str>>,
    /// The body begins inside of `spawn`.
    pub(crate) eager: bool,
    /// The context to run in, instead of a copy of the current one.
    pub(crate) context: Option<Context>,
}

impl TaskBuilder {
    /// The settings of `create_task`.
    pub fn new() -> TaskBuilder {
        TaskBuilder::default()
    }

    /// The task's name. Default: `Task-` and its id.
    pub fn name(mut self, name: impl Into<String>) -> TaskBuilder {
        self.name = Some(Arc::from(name.into()));
        self
    }

    /// Whether the body runs inside of [`spawn`](Self::spawn), up to its first suspension. Default: no.
    ///
    /// A task that never suspends has ended when `spawn` returns. A panic in there stays in the task.
    #[doc(alias = "asyncio.eager_task_factory")]
    pub fn eager(mut self, eager: bool) -> TaskBuilder {
        self.eager = eager;
        self
    }

    /// The context that the task runs in, itself: what it sets is seen there. Default: a copy of the creator's.
    pub fn context(mut self, context: Context) -> TaskBuilder {
        self.context = Some(context);
        self
    }

    /// Makes the task; see [`create_task`](crate::create_task).
    ///
    /// # Panics
    ///
    /// If no loop runs on this thread.
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        scheduler::build(self, future, false, Location::caller())
    }

    /// As [`spawn`](Self::spawn), for a future that is not `Send`: it stays on the worker that created it.
    ///
    /// # Panics
    ///
    /// If no loop runs on this thread.
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        scheduler::build(self, future, true, Location::caller())
    }
}
