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
    /// Calls that were ever pushed, and those of them that have returned.
    pushed: u64,
    returned: u64,
    /// Somebody waits until so many have returned.
    awaited: Option<u64>,
}

impl Strand {
    /// Adds a call. True if the caller must start the task.
    #[must_use]
    pub(crate) fn push(&self, call: Call) -> bool {
        let mut inner = self.0.lock();
        inner.calls.push_back(call);
        inner.pushed += 1;
        !std::mem::replace(&mut inner.running, true)
    }

    /// The next call; with `None`, the task ends.
    fn next(&self) -> Option<Call> {
        let mut inner = self.0.lock();
        let call = inner.calls.pop_front();
        inner.running = call.is_some();
        call
    }

    /// A call has returned. True if somebody waited for that.
    fn returned(&self) -> bool {
        let mut inner = self.0.lock();
        inner.returned += 1;
        let told = inner.awaited.is_some_and(|awaited| awaited <= inner.returned);
        if told {
            inner.awaited = None;
        }
        told
    }

    /// The calls that were pushed so far: from now on who waits for them is told.
    pub(crate) fn await_pushed(&self) -> u64 {
        let mut inner = self.0.lock();
        inner.awaited = Some(inner.pushed);
        inner.pushed
    }

    /// Whether so many calls have returned.
    pub(crate) fn has_returned(&self, calls: u64) -> bool {
        self.0.lock().returned >= calls
    }

    /// Drops the calls that are left, at the end of the loop.
    pub(crate) fn clear(&self) {
        loop {
            let call = self.0.lock().calls.pop_front();
            match call {
                Some(call) => call.discard(),
                None => break,
            }
        }
    }
}

/// Runs calls until none is left.
pub(crate) async fn drain(shared: Arc<Shared>) {
    loop {
        for _ in 0..BATCH {
            let Some(call) = shared.strand.next() else { return };
            call.run(&shared.exceptions);
            if shared.strand.returned() {
                shared.rouse_main();
            }
        }
        yield_now().await;
    }
}
