//! Recognising a task among futures that may borrow.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};

use super::owned::Task;
use super::shared::SharedTask;

/// Gives `future` back as the task that it is, if it is a [`Task`] or a [`SharedTask`]; as itself otherwise.
///
/// Unlike a downcast through `Any` it takes futures that borrow.
///
/// # Errors
///
/// The future, if it is no task.
pub fn as_task<F: Future>(future: F) -> Result<Task<F::Output>, F> {
    if is::<F, Task<F::Output>>() {
        // SAFETY: `Task<T>` and `Task<U>` are the same up to lifetimes only if `T` and `U` are. `F` is such a `Task<U>`,
        // whose output is `U`; so `F::Output` is `U`, lifetimes included, and `F` is the target itself.
        return Ok(unsafe { same::<F, Task<F::Output>>(future) });
    }
    if is::<F, SharedTask<F::Output>>() {
        // SAFETY: as above: the output of a `SharedTask<U>` is `U`.
        return Ok(unsafe { same::<F, SharedTask<F::Output>>(future) }.into());
    }
    Err(future)
}

/// Whether two types are the same, up to lifetimes.
fn is<A, B>() -> bool {
    id::<A>() == id::<B>()
}

/// The id of a type, up to lifetimes.
fn id<T>() -> TypeId {
    let marker = PhantomData::<T>;
    let marker: &dyn Identified = &marker;
    // SAFETY: only the bound on lifetimes changes, which the vtable does not depend on, and all that is called on it reads
    // nothing of a `T`: it gives a constant. The reference itself keeps its lifetime.
    let marker = unsafe { mem::transmute::<&dyn Identified, &(dyn Identified + 'static)>(marker) };
    marker.id()
}

/// Something with an id that is asked for through a vtable, where lifetimes are gone.
trait Identified {
    fn id(&self) -> TypeId
    where
        Self: 'static;
}

impl<T> Identified for PhantomData<T> {
    fn id(&self) -> TypeId
    where
        Self: 'static,
    {
        TypeId::of::<PhantomData<T>>()
    }
}

/// Moves a value to another name of its type.
///
/// # Safety
///
/// `A` and `B` are the same type.
unsafe fn same<A, B>(value: A) -> B {
    let value = ManuallyDrop::new(value);
    // SAFETY: as the caller says; the original is not dropped.
    unsafe { mem::transmute_copy::<A, B>(&value) }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::Arc;

    use super::*;
    use crate::{Builder, ParkDriver, create_task};

    fn on_a_loop(test: impl Future<Output = ()>) {
        let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
        runtime.block_on(test, |_| {}).unwrap();
    }

    #[test]
    fn tasks_are_recognised_and_stay_themselves() {
        on_a_loop(async {
            let task = create_task(async { String::from("value") });
            let id = task.id();
            let task = as_task(task).unwrap();
            assert_eq!(task.id(), id);
            let task = as_task(task.shared()).unwrap();
            assert_eq!(task.id(), id);
            assert_eq!(task.await, "value");
        });
    }

    #[test]
    fn other_futures_are_given_back() {
        on_a_loop(async {
            let text = String::from("borrowed");
            let future: Ready<&str> = as_task(ready(text.as_str())).unwrap_err();
            assert_eq!(future.await, "borrowed");
            assert!(as_task(async { text.len() }).is_err());
            assert!(as_task(create_task(async { 1 }).outcome()).is_err());
        });
    }

    #[test]
    fn a_task_whose_output_has_lifetimes_in_it() {
        type Function = for<'a> fn(&'a str) -> &'a str;
        on_a_loop(async {
            let task = create_task(async { str::trim as Function });
            assert_eq!(as_task(task).unwrap().await(" a "), "a");
            let task = create_task(async { "static" });
            assert_eq!(as_task(task).unwrap().await, "static");
        });
    }

    #[test]
    fn types_are_told_apart() {
        assert!(is::<Task<&str>, Task<&'static str>>());
        assert!(!is::<Task<u32>, Task<i32>>());
        assert!(!is::<Task<u32>, SharedTask<u32>>());
        assert!(!is::<&Task<u32>, Task<u32>>());
    }
}
