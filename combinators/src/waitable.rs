//! What can be waited for without being used up: futures, as tasks, and tasks, given away or lent.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::Arc;

use kumihimo_executor::{Observation, Observer, Promise, SharedTask, Task, TaskHandle};

use crate::into_task;

/// Something that [`wait`](crate::wait) and [`as_completed`](crate::as_completed) take.
///
/// | given | given back |
/// |---|---|
/// | a vector or an array of futures, which become tasks | `Task<T>` |
/// | a vector or an array of `Task<T>`, `SharedTask<T>`, `Promise<T>` | `Task<T>`: the same tasks |
/// | a slice of `Task<T>`, `SharedTask<T>`, `Promise<T>` or `TaskHandle`; a reference to a vector or an array | references |
/// | the same of references to them, `&Task<T>` and so on | those references |
pub trait Waitable {
    /// A task, as it is given back.
    type Task: AsTask;

    /// The tasks, in order, also those that are there twice. Futures become tasks.
    fn into_tasks(self) -> Vec<Self::Task>;
}

/// Something that stands for a task.
pub trait AsTask {
    /// The task.
    fn as_task(&self) -> &TaskHandle;
}

/// Something that stands for a task that returns a `Result`.
pub trait Fallible: AsTask {
    /// Has `observer` told when the task ends; an `Err` counts as no value.
    fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation;
}

/// A task that can be lent to a [`Waitable`]; a reference to one lends what it refers to.
pub trait Lend {
    /// The reference.
    type Lent<'a>: AsTask
    where
        Self: 'a;

    /// Lends the task.
    fn lend(&self) -> Self::Lent<'_>;
}

impl AsTask for TaskHandle {
    fn as_task(&self) -> &TaskHandle {
        self
    }
}

impl Lend for TaskHandle {
    type Lent<'a> = &'a TaskHandle;

    fn lend(&self) -> &TaskHandle {
        self
    }
}

macro_rules! tasks {
    ($($Task:ident)*) => {$(
        impl<T> AsTask for $Task<T> {
            fn as_task(&self) -> &TaskHandle {
                self
            }
        }

        impl<T> Lend for $Task<T> {
            type Lent<'a> = &'a $Task<T> where Self: 'a;

            fn lend(&self) -> &$Task<T> {
                self
            }
        }

        impl<T, E> Fallible for $Task<Result<T, E>> {
            fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
                $Task::observe_ok(self, observer, index)
            }
        }
    )*};
}

tasks! { Task SharedTask Promise }

impl<H: AsTask> AsTask for &H {
    fn as_task(&self) -> &TaskHandle {
        (**self).as_task()
    }
}

impl<H: Fallible> Fallible for &H {
    fn observe_ok(&self, observer: Arc<dyn Observer>, index: usize) -> Observation {
        (**self).observe_ok(observer, index)
    }
}

impl<'b, H: AsTask> Lend for &'b H {
    type Lent<'a>
        = &'b H
    where
        Self: 'a;

    fn lend(&self) -> &'b H {
        self
    }
}

impl<F> Waitable for Vec<F>
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    type Task = Task<F::Output>;

    #[track_caller]
    fn into_tasks(self) -> Vec<Self::Task> {
        make_tasks(self)
    }
}

impl<F, const N: usize> Waitable for [F; N]
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    type Task = Task<F::Output>;

    #[track_caller]
    fn into_tasks(self) -> Vec<Self::Task> {
        make_tasks(self)
    }
}

impl<'a, L: Lend> Waitable for &'a [L] {
    type Task = L::Lent<'a>;

    fn into_tasks(self) -> Vec<Self::Task> {
        self.iter().map(L::lend).collect()
    }
}

impl<'a, L: Lend> Waitable for &'a Vec<L> {
    type Task = L::Lent<'a>;

    fn into_tasks(self) -> Vec<Self::Task> {
        self.as_slice().into_tasks()
    }
}

impl<'a, L: Lend, const N: usize> Waitable for &'a [L; N] {
    type Task = L::Lent<'a>;

    fn into_tasks(self) -> Vec<Self::Task> {
        self.as_slice().into_tasks()
    }
}

#[track_caller]
fn make_tasks<F>(futures: impl IntoIterator<Item = F>) -> Vec<Task<F::Output>>
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    let mut tasks = Vec::new();
    // A loop, not a closure, which would hide the caller's place from the tasks.
    for future in futures {
        tasks.push(into_task(future.into_future()));
    }
    tasks
}

/// The tasks, each once: the first of those that are the same.
pub(crate) fn distinct<H: AsTask>(mut tasks: Vec<H>) -> Vec<H> {
    let mut seen = HashSet::with_capacity(tasks.len());
    tasks.retain(|task| seen.insert(task.as_task().id()));
    tasks
}
