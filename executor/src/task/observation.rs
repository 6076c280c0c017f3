//! Being told that a task has ended, without awaiting it.

use std::sync::Arc;

use super::handle::TaskHandle;
use super::state::Ended;
use super::waiters::{Observer, Registered};
use crate::scheduler;

/// An observer's registration with a task; dropping it ends it.
#[derive(Debug)]
#[must_use = "dropping it ends the observation"]
pub struct Observation {
    task: TaskHandle,
    registered: Registered,
}

impl TaskHandle {
    /// Has `observer` told when the task ends. If it has ended, the observer is told soon: on one thread in the loop's next
    /// pass, on several from in here.
    ///
    /// It counts neither as awaiting the task nor as looking at its end.
    pub fn observe(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
        let mut observation = Observation { task: self.clone(), registered: Registered::No };
        let header = self.task().header();
        if !header.waiters.observe(observer.clone(), index, &mut observation.registered) {
            self.task().wait_complete();
            let with_value = header.state.ended() == Some(Ended::Value);
            scheduler::tell_soon(observer, index, with_value);
        }
        observation
    }
}

impl Observation {
    /// The task.
    pub fn task(&self) -> &TaskHandle {
        &self.task
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.task.task().header().waiters.deregister(&mut self.registered);
    }
}
