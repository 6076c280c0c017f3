//! The waker of a task: its address and one vtable.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::{Header, TaskRef};

/// One static for all tasks, so that a waker of ours is known by its address.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A waker that borrows the task for the length of a poll; clones own references.
#[inline]
pub(crate) fn borrowed(task: TaskRef) -> ManuallyDrop<Waker> {
    // SAFETY: the vtable upholds the contract; dropping is prevented, so that no reference is given up.
    ManuallyDrop::new(unsafe { Waker::new(task.as_ptr().cast(), &VTABLE) })
}

/// The task that a waker wakes, if it is one of ours.
#[inline]
pub(crate) fn task_of(waker: &Waker) -> Option<TaskRef> {
    std::ptr::eq(waker.vtable(), &VTABLE).then(|| from_raw(waker.data()))
}

fn from_raw(data: *const ()) -> TaskRef {
    let header = data.cast_mut().cast::<Header>();
    // SAFETY: made from a `TaskRef` in `borrowed`, `owned` or `clone`.
    TaskRef::new(unsafe { NonNull::new_unchecked(header) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    from_raw(data).header().state.add_ref();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    from_raw(data).wake();
}

unsafe fn wake_by_ref(data: *const ()) {
    from_raw(data).wake_by_ref();
}

unsafe fn drop_waker(data: *const ()) {
    from_raw(data).drop_ref();
}
