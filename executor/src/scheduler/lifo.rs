//! The LIFO slot: the task that a worker readied last, which it runs next.
//!
//! What a task has just readied (an answer, a wake-up of its awaiter) is warm in the caches and likely awaited, so it goes
//! first. Others may take it too, as a last resort: when its worker does not come back from a poll.

use std::ptr;

use crate::sync::atomic::{AtomicPtr, Ordering::*};
use crate::task::header::{Header, TaskRef};

/// Marks, in the lowest bit, a task that has not begun.
const NEW: usize = 1;

/// One task, or none. Only its worker puts tasks in; anybody may take one out.
#[derive(Debug)]
pub(crate) struct LifoSlot(AtomicPtr<Header>);

impl LifoSlot {
    pub(crate) fn new() -> LifoSlot {
        LifoSlot(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts a task in and gives the one that was there. `new`: it has not begun.
    #[inline]
    pub(crate) fn put(&self, task: TaskRef, new: bool) -> Option<TaskRef> {
        let task = task.as_ptr().map_addr(|addr| addr | (usize::from(new) * NEW));
        // Relaxed: only this worker makes the slot full, so an empty one stays empty.
        if self.0.load(Relaxed).is_null() {
            // Release: pairs with the Acquire in `take`, for whoever takes the task elsewhere.
            self.0.store(task, Release);
            return None;
        }
        // Release: the same. What comes out, if anything, was put in by this worker.
        to_task(self.0.swap(task, Release))
    }

    /// Takes the task out.
    #[inline]
    pub(crate) fn take(&self) -> Option<TaskRef> {
        // Relaxed: an empty slot needs no more; a full one is taken with the swap.
        if self.0.load(Relaxed).is_null() {
            return None;
        }
        // Acquire: pairs with the Release in `put`. Emptiness says nothing.
        to_task(self.0.swap(ptr::null_mut(), Acquire))
    }

    /// Whether the task has not begun, as a hint.
    pub(crate) fn is_new(&self) -> bool {
        self.0.load(Relaxed).addr() & NEW != 0
    }

    /// Whether there is a task, as a hint.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        !self.0.load(Relaxed).is_null()
    }
}

fn to_task(task: *mut Header) -> Option<TaskRef> {
    ptr::NonNull::new(task.map_addr(|addr| addr & !NEW)).map(TaskRef::new)
}
