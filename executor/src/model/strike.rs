//! Cancelling, or dropping, one task at each of its awaits in turn.

use std::cell::RefCell;

use crate::task::TaskHandle;
use crate::task::harness;
use crate::task::header::TaskRef;

use super::trace;

/// What is done to the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// It is cancelled, as by `cancel()`.
    Cancel,
    /// Its future is dropped where it is.
    Drop,
}

/// Whom to strike, and when.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The task's name.
    pub name: String,
    /// At which of its suspensions, from 1 on.
    pub at: usize,
    /// What is done.
    pub strike: Strike,
}

thread_local! {
    static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
    /// Whether somebody was struck since the plan was made.
    static STRUCK: RefCell<Struck> = const { RefCell::new(Struck { ever: false, doomed: None }) };
}

struct Struck {
    ever: bool,
    /// To be dropped when it comes out of the queue: it was woken in the very moment in which it was to be dropped.
    doomed: Option<u64>,
}

/// Plans to strike; `None`: nobody.
pub fn plan(plan: Option<Plan>) {
    PLAN.set(plan);
    STRUCK.set(Struck { ever: false, doomed: None });
}

/// An execution begins.
pub fn rewind() {
    STRUCK.with_borrow_mut(|struck| struck.doomed = None);
}

/// Whether the task was found at the suspension that was planned, in any execution since.
pub fn has_struck() -> bool {
    STRUCK.with_borrow(|struck| struck.ever)
}

/// Whether somebody is to be struck.
pub fn is_planned() -> bool {
    PLAN.with_borrow(Option::is_some)
}

/// The task, if it is the one, kept for [`suspended`].
pub(crate) fn watch(task: TaskRef) -> Option<TaskHandle> {
    let concerned =
        PLAN.with_borrow(|plan| plan.as_ref().is_some_and(|plan| trace::is_named(task, &plan.name)));
    concerned.then(|| TaskHandle::new(task))
}

/// The task that is watched was polled: strikes if its time has come.
pub(crate) fn suspended(task: &TaskHandle) {
    let Some(Plan { at, strike, .. }) = PLAN.with_borrow(Option::clone) else { return };
    if trace::suspensions(task.task()) != Some(at) {
        return;
    }
    STRUCK.with_borrow_mut(|struck| struck.ever = true);
    match strike {
        Strike::Cancel => _ = task.cancel(),
        Strike::Drop if task.task().header().state.seize() => harness::abandon(task.task()),
        Strike::Drop => STRUCK.with_borrow_mut(|struck| struck.doomed = Some(task.id().as_u64())),
    }
}

/// Whether a task that came out of the queue is to be dropped instead of polled.
pub(crate) fn is_doomed(task: TaskRef) -> bool {
    STRUCK.with_borrow(|struck| struck.doomed == Some(task.header().id.as_u64()))
}
