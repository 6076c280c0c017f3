//! Calls: what a loop runs besides tasks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use kumihimo_context as context;

use crate::exceptions::{ExceptionContext, Exceptions};
use crate::task::failure::{Panicked, quietly};
use crate::task::header::TaskRef;
use crate::task::{Observer, TaskHandle};

/// What stands in the ready queue of the flavour with one thread.
pub(crate) enum Ready {
    /// A task takes a step.
    Task(TaskRef),
    /// Something is called.
    Call(Call),
}

/// Something that runs outside of any task: a callback, or a hop that asyncio takes between an event and a task.
pub(crate) enum Call {
    /// A callback of the user's.
    Run(Box<dyn FnOnce() + Send>),
    /// Wakes a task. asyncio's timers and descriptors complete a future, which readies the task one pass later.
    Wake(TaskHandle),
    /// Tells a combinator that a task has ended, with a value or not.
    Tell(Arc<dyn Observer>, usize, bool),
}

impl Call {
    /// Runs it. There is no current task meanwhile; a panic goes to the exception handler.
    pub(crate) fn run(self, exceptions: &Exceptions) {
        // SAFETY: null stands for no task.
        let _guard = unsafe { context::enter(ptr::null(), context::UNLIMITED) };
        match self {
            Call::Wake(task) => task.wake(),
            Call::Tell(observer, index, with_value) => quietly(|| observer.ended(index, with_value)),
            Call::Run(callback) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
                    let panicked = Panicked::new(payload, None);
                    exceptions.call(
                        &ExceptionContext::new("exception in a callback").with_panic(&panicked.error()),
                    );
                }
            }
        }
    }

    /// The loop is closed: drops it unrun. Combinators are told, as they may be awaited in another loop.
    pub(crate) fn discard(self) {
        quietly(|| match self {
            Call::Tell(observer, index, with_value) => observer.ended(index, with_value),
            Call::Run(_) | Call::Wake(_) => drop(self),
        });
    }
}
