//! The allocation of a task: header, then future, output or failure in one place.

use std::alloc::{Layout, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use kumihimo_context::model::divisible;

use super::failure::{Failure, quietly};
use super::header::{Header, Payload, TaskRef, VTable};
use super::id::TaskId;
use super::state::State;
use crate::scheduler::Shared;
use crate::sync::alloc::alloc;

/// A task with a future of type `F`.
#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: Stage<F>,
}

/// What the cell holds: the state word says which. Each begins where the union does.
#[repr(C)]
union Stage<F: Future> {
    /// Until the task completes.
    future: ManuallyDrop<F>,
    /// Of a task that ended with a value, until an owner takes it.
    output: ManuallyDrop<F::Output>,
    /// Of a task that was cancelled or panicked.
    _failure: ManuallyDrop<Box<Failure>>,
}

struct Functions<F>(PhantomData<F>);

impl<F: Future> Functions<F> {
    const VTABLE: VTable = VTable {
        poll: poll::<F>,
        drop_future: drop_future::<F>,
        drop_output: drop_output::<F>,
        stage: std::mem::offset_of!(Cell<F>, stage),
        layout: Layout::new::<Cell<F>>(),
    };
}

/// Makes a task; the caller registers and schedules it. The pointer stands for one reference of the registry and one
/// interest.
#[inline]
pub(crate) fn allocate<F: Future>(
    future: F,
    state: State,
    runtime: *const Shared,
    birth: (TaskId, TaskId, &'static Location<'static>),
) -> TaskRef {
    let layout = Layout::new::<Cell<F>>();
    // SAFETY: the layout is not empty, as a header is not.
    let cell = unsafe { alloc(layout) }.cast::<Cell<F>>();
    let Some(cell) = NonNull::new(cell) else { handle_alloc_error(layout) };
    let header = Header::new(state, &Functions::<F>::VTABLE, runtime, birth);
    let stage = Stage { future: ManuallyDrop::new(future) };
    // SAFETY: freshly allocated with this layout.
    unsafe { cell.write(Cell { header, stage }) };
    TaskRef::new(cell.cast())
}

fn stage<F: Future>(task: NonNull<Header>) -> *mut Stage<F> {
    // SAFETY: the vtable is used with its own kind of cell only.
    unsafe { &raw mut (*task.cast::<Cell<F>>().as_ptr()).stage }
}

unsafe fn poll<F: Future>(task: NonNull<Header>, cx: &mut Context<'_>) -> Poll<Result<(), Payload>> {
    let stage = stage::<F>(task);
    // The stage is borrowed inside of the closure only: what the future does to its own task must not meet a reference.
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let _divisible = divisible();
        // SAFETY: the task is running, so its future is here, reached by this thread only, and it never moves.
        unsafe { Pin::new_unchecked(&mut *(*stage).future).poll(cx) }
    }));
    let ended = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(payload) => Err(payload),
    };
    // SAFETY: the future is still here and will not be used again.
    let dropped = unsafe { drop_future::<F>(task) };
    Poll::Ready(match (ended, dropped) {
        (Ok(output), Ok(())) => {
            // SAFETY: the caller's task is alive.
            unsafe { task.as_ref() }.output.is_written();
            // SAFETY: the future is gone; the place is large enough and aligned for an output.
            unsafe { (*stage).output = ManuallyDrop::new(output) };
            Ok(())
        }
        (Ok(output), Err(payload)) => {
            quietly(|| drop(output));
            Err(payload)
        }
        (Err(payload), Ok(())) => Err(payload),
        (Err(payload), Err(second)) => {
            quietly(|| drop(second));
            Err(payload)
        }
    })
}

unsafe fn drop_future<F: Future>(task: NonNull<Header>) -> Result<(), Payload> {
    let stage = stage::<F>(task);
    catch_unwind(AssertUnwindSafe(|| {
        let _divisible = divisible();
        // SAFETY: the caller runs (or has seized) the task, and drops the future once.
        unsafe { ManuallyDrop::drop(&mut (*stage).future) }
    }))
}

unsafe fn drop_output<F: Future>(task: NonNull<Header>) {
    let stage = stage::<F>(task);
    // A destructor that panics has nobody to tell: the output was given up.
    // SAFETY: the task ended with a value, and the caller is its last owner.
    quietly(|| unsafe { ManuallyDrop::drop(&mut (*stage).output) });
}
