//! A task's own context.

use std::sync::OnceLock;

use super::context::Context;
use crate::task::TaskHandle;
use crate::task::header::TaskRef;

/// Where a task keeps its context: filled once, when the task is given one, or a variable is first set.
#[derive(Default)]
pub(crate) struct OwnContext(OnceLock<Context>);

impl OwnContext {
    #[inline]
    pub(super) fn get(&self) -> Option<&Context> {
        self.0.get()
    }

    pub(super) fn get_or_new(&self) -> &Context {
        self.0.get_or_init(Context::new)
    }

    /// The task has ended: drops the values, unless somebody else can see them. No lock may be held.
    pub(crate) fn clear(&self) {
        if let Some(context) = self.0.get() {
            context.clear_alone();
        }
    }

    /// The task itself ends.
    pub(crate) fn take(&mut self) -> Option<Context> {
        self.0.take()
    }
}

/// Has a task run in `context` itself. Before it begins, and unless it has one by then: the first one stays.
pub(crate) fn give(task: TaskRef, context: Context) {
    // Refused, it is dropped here, with no lock held.
    let _ = task.header().extras().context.0.set(context);
}

impl TaskHandle {
    /// The context that the task runs in, itself: what is set in there, the task sees.
    ///
    /// When the task ends, it is emptied if nobody else has a handle of it.
    #[doc(alias = "asyncio.Task.get_context")]
    pub fn context(&self) -> Context {
        self.task().header().extras().context.get_or_new().clone()
    }
}
