//! From whatever was given to a combinator, to a task.

use std::any::Any;

use kumihimo_executor::{SharedTask, Task, create_task};

/// The task that runs `future`: a `Task` or `SharedTask` is taken as it is, anything else becomes a new task.
///
/// # Panics
///
/// If `future` is no task, and no loop runs on this thread.
#[doc(alias = "asyncio.ensure_future")]
#[track_caller]
pub fn into_task<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Without specialisation: compare types, then move out of the option under its real type.
    let mut future = Some(future);
    let any: &mut dyn Any = &mut future;
    if let Some(task) = any.downcast_mut::<Option<Task<F::Output>>>() {
        return task.take().expect("just put in");
    }
    if let Some(task) = any.downcast_mut::<Option<SharedTask<F::Output>>>() {
        return task.take().expect("just put in").into();
    }
    create_task(future.take().expect("just put in"))
}
