//! What few tasks need: a name of their own, and cancellation requests.

use std::sync::Arc;

use kumihimo_context::CancelMessage;

use super::shared::CloneFn;
use crate::sync::Mutex;

/// Allocated on first use; lives as long as the task.
#[derive(Default)]
pub(crate) struct Extras {
    /// The name, if one was given.
    pub(crate) name: Mutex<Option<Arc<str>>>,
    /// Requests to cancel. Held while the state word records or withdraws one, so that the two agree.
    pub(crate) requests: Mutex<Requests>,
    /// How to clone the output, once a `SharedTask` was made; held while cloning it.
    pub(crate) sharing: Mutex<Option<CloneFn>>,
}

/// asyncio's counters of a task.
#[derive(Default)]
pub(crate) struct Requests {
    /// `cancelling()`: requests that were not taken back.
    pub(crate) count: usize,
    /// The message that the next delivery carries.
    pub(crate) message: CancelMessage,
    /// How many tasks passed the latest request on before it came here.
    pub(crate) passed: u32,
}
