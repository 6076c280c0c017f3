//! What few tasks need: a name of their own, cancellation requests, context variables.

use std::sync::Arc;

use kumihimo_context::CancelMessage;

use super::failure::quietly;
use super::report::Report;
use super::shared::CloneFn;
use crate::exceptions::Unretrieved;
use crate::scheduler::Shared;
use crate::sync::{Memory, Mutex};
use crate::variables::OwnContext;

/// Allocated on first use; lives as long as the task.
#[derive(Default)]
pub(crate) struct Extras {
    /// The name, if one was given.
    pub(crate) name: Mutex<Option<Arc<str>>>,
    /// Requests to cancel. Held while the state word records or withdraws one, so that the two agree.
    pub(crate) requests: Mutex<Requests>,
    /// Of a promise: the loop that calls back who waits for it.
    pub(crate) promised_by: Mutex<Option<Arc<Shared>>>,
    /// What is owed to somebody if the task ends in an `Err` that nobody looks at.
    pub(crate) report: Mutex<Option<Report>>,
    /// Of a task that panicked: whom to tell if nobody looks.
    pub(crate) panicked: Mutex<Option<Arc<Unretrieved>>>,
    /// How to clone the output, once a `SharedTask` was made; held while cloning it.
    pub(crate) sharing: Mutex<Option<CloneFn>>,
    /// The context, if a variable was set in it or one was given.
    pub(crate) context: OwnContext,
    /// What a model sees of its being made.
    pub(crate) memory: Memory,
}

impl Extras {
    /// The task has ended: its variables go now, as its future did, rather than wherever its last waker is dropped.
    #[cold]
    pub(crate) fn clear_context(&self) {
        // A destructor that panics has nobody to tell.
        quietly(|| self.context.clear());
    }
}

impl Drop for Extras {
    fn drop(&mut self) {
        // Others had the context when the task ended, and may have let go of it since.
        let context = self.context.take();
        quietly(|| drop(context));
    }
}

/// asyncio's counters of a task.
#[derive(Default)]
pub(crate) struct Requests {
    /// `cancelling()`: requests that were not taken back.
    pub(crate) count: usize,
    /// How many of them parts of the task have made: time-outs and groups.
    pub(crate) of_parts: usize,
    /// How many came from others and were not delivered yet.
    pub(crate) unheard: usize,
    /// The message that the next delivery carries.
    pub(crate) message: CancelMessage,
    /// How often the count has gone back to zero. Wraps.
    pub(crate) zeroed: u32,
    /// How many tasks passed the latest request on before it came here.
    pub(crate) passed: u32,
}
