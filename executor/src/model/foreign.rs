//! Threads that are no workers: as long as there are some, somebody may wake a task.

use std::cell::RefCell;
use std::sync::Arc;

use crate::scheduler::Shared;

thread_local! {
    static FOREIGN: RefCell<usize> = const { RefCell::new(0) };
}

/// A thread that is no worker, until this is dropped.
pub struct Foreign(Option<Arc<Shared>>);

impl Foreign {
    /// A thread that this one is about to start.
    pub fn enter() -> Foreign {
        FOREIGN.with_borrow_mut(|foreign| *foreign += 1);
        Foreign(crate::scheduler::shared_here())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        FOREIGN.with_borrow_mut(|foreign| *foreign -= 1);
        // Whoever waits looks whether anybody is left who could wake a task.
        if let Some(model) = self.0.as_ref().and_then(|shared| shared.model()) {
            model.rouse();
        }
    }
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Foreign")
    }
}

/// An execution begins.
pub fn rewind() {
    FOREIGN.set(0);
}

/// Whether there are such threads.
pub(crate) fn is_there() -> bool {
    FOREIGN.with_borrow(|foreign| *foreign > 0)
}
