//! Being told that a task has ended, without awaiting it.

use std::sync::Arc;

use super::handle::TaskHandle;
use super::header::TaskRef;
use super::owned::Task;
use super::promise::Promise;
use super::shared::SharedTask;
use super::state::Ended;
use super::waiters::{IsErr, Observer, Observing, Registered};
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
        // SAFETY: nothing looks at the output.
        unsafe { observe(self.task(), observer, index, None) }
    }
}

/// Has `observer` told when the task ends, and, if `is_err` is there, of an output that is an `Err` as of none.
///
/// # Safety
///
/// Where `is_err` is there, it looks at the type of the output, and the caller owns the output, which was not moved out.
unsafe fn observe(
    task: TaskRef,
    observer: Arc<dyn Observer>,
    index: usize,
    is_err: Option<IsErr>,
) -> Observation {
    let mut observation = Observation { task: TaskHandle::new(task), registered: Registered::No };
    let header = task.header();
    let observing = Observing { observer: observer.clone(), index, is_err, failed: false };
    // SAFETY: as the caller says.
    if !unsafe { header.waiters.observe(observing, &mut observation.registered) } {
        task.wait_complete();
        // SAFETY: the task ended with a value, which the caller's ownership keeps in place. Other owners may clone it
        // meanwhile, but whether it is an `Err` nobody can change who has no more than a shared reference.
        let is_ok = || is_err.is_none_or(|is_err| !unsafe { is_err(task.stage::<()>()) });
        let with_value = header.state.ended() == Some(Ended::Value) && is_ok();
        scheduler::tell_soon(observer, index, with_value);
    }
    observation
}

unsafe fn is_err<T, E>(output: *const ()) -> bool {
    // SAFETY: the caller gives a live `Result<T, E>`.
    unsafe { &*output.cast::<Result<T, E>>() }.is_err()
}

impl<T, E> Task<Result<T, E>> {
    /// As [`Task::observe`], where an `Err` counts as no value.
    pub fn observe_result(&mut self, observer: Arc<dyn Observer>, index: usize) -> Option<bool> {
        // SAFETY: the task's output is a `Result<T, E>`.
        unsafe { self.observe_with(observer, index, Some(is_err::<T, E>)) }
    }

    /// As [`observe`](TaskHandle::observe), where an `Err` counts as no value.
    ///
    /// It does not count as looking at the error either.
    pub fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
        let is_err: Option<IsErr> = if self.is_taken() { None } else { Some(is_err::<T, E>) };
        // SAFETY: this is an owner, and the output, a `Result<T, E>`, was not moved out.
        unsafe { observe(self.task(), observer, index, is_err) }
    }
}

impl<T, E> SharedTask<Result<T, E>> {
    /// As [`Task::observe_ok`].
    pub fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
        let is_err: Option<IsErr> = if self.is_taken() { None } else { Some(is_err::<T, E>) };
        // SAFETY: as for a `Task`.
        unsafe { observe(self.task(), observer, index, is_err) }
    }
}

impl<T, E> Promise<Result<T, E>> {
    /// As [`Task::observe_ok`].
    pub fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
        self.owner().observe_ok(observer, index)
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
