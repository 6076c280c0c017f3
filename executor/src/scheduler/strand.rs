//! The strand: on several workers, callbacks run one at a time, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::call::Call;
use super::shared::Shared;
use crate::sync::Mutex;
use crate::yield_now;

/// Calls that are run before the strand gives way.
const BATCH: usize = 32;

/// Calls that wait for their turn. A task of the runtime's own runs them, for as long as there are any.
#[derive(Default)]
pub(crate) struct Strand(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    calls: VecDeque<Call>,
    /// There is a task that runs them, and it will look again before it ends.
    running: bool,
}

impl Strand {
    /// Adds a call. True if the caller must start the task.
    #[must_use]
    pub(crate) fn push(&self, call: Call) -> bool {
        let mut inner = self.0.lock();
        inner.calls.push_back(call);
        !std::mem::replace(&mut inner.running, true)
    }

    /// The next call; with `None`, the task ends.
    fn next(&self) -> Option<Call> {
        let mut inner = self.0.lock();
        let call = inner.calls.pop_front();
        inner.running = call.is_some();
        call
    }

    /// Drops the calls that are left, at the end of the loop.
    pub(crate) fn clear(&self) {
        loop {
            let call = self.0.lock().calls.pop_front();
            match call {
                Some(call) => call.discard(),
                None => return,
            }
        }
    }
}

/// Runs calls until none is left.
pub(crate) async fn drain(shared: Arc<Shared>) {
    loop {
        for _ in 0..BATCH {
            match shared.strand.next() {
                Some(call) => call.run(&shared.exceptions),
                None => return,
            }
        }
        yield_now().await;
    }
}
