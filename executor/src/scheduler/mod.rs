//! Workers, queues, and how tasks get from one to the other.
//!
//! [`local`] is a worker's own side, [`shared`] what it shares; [`work`] finds work on several workers, [`pass`] runs
//! asyncio's passes on one thread; [`runtime`] owns the threads, [`close`] ends them.

mod close;
mod config;
mod gate;
mod lifo;
mod local;
mod main_future;
mod pass;
mod registry;
mod runtime;
mod shard_lock;
mod shared;
mod work;

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use kumihimo_context as context;

use crate::sync::local;
use crate::task::header::{Header, TaskRef};
use crate::task::id::TaskId;
use crate::task::{Task, TaskHandle, cell, id};

pub use config::Builder;
pub use runtime::{Runtime, Session};
pub use shared::Flavor;

pub(crate) use local::Local;
pub(crate) use shared::Shared;

// What the models are played on.
#[cfg(all(test, kumihimo_loom))]
pub(crate) use {
    close::drop_all_tasks, config::Hooks, gate::Gate, lifo::LifoSlot, registry::Registry, shared::Remote,
};

local! {
    /// The worker that this thread is; null if it is none.
    static LOCAL: Cell<*const Local> = Cell::new(ptr::null())
}

/// This thread is a worker, until the guard is dropped.
pub(crate) struct Entered<'a> {
    before: *const Local,
    _local: &'a Local,
}

impl<'a> Entered<'a> {
    pub(crate) fn new(local: &'a Local) -> Entered<'a> {
        Entered { before: LOCAL.with(|current| current.replace(local)), _local: local }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        LOCAL.with(|current| current.set(self.before));
    }
}

/// The worker that this thread is.
#[inline]
fn with_local<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    // SAFETY: `Entered` borrows the worker for as long as the pointer is set.
    f(unsafe { LOCAL.with(Cell::get).as_ref() })
}

/// Puts a task that was just scheduled into a queue.
#[inline]
pub(crate) fn schedule(task: TaskRef) {
    let runtime = task.header().runtime;
    with_local(|local| match local {
        Some(local) if ptr::eq(Arc::as_ptr(&local.shared), runtime) => local.push(task),
        _ => schedule_from_outside(task, runtime),
    });
}

#[cold]
fn schedule_from_outside(task: TaskRef, runtime: *const Shared) {
    // SAFETY: the task is scheduled but in no queue yet, so it is not complete, and a runtime does not end before all its
    // tasks are complete. The count taken here keeps the runtime alive while the worker that finds the task, may complete
    // it and may end the runtime, overtakes us.
    let shared = unsafe {
        Arc::increment_strong_count(runtime);
        Arc::from_raw(runtime)
    };
    shared.inject(task);
}

/// Whether the driver is waking tasks on this thread.
#[inline]
pub(crate) fn dispatching() -> bool {
    with_local(|local| local.is_some_and(|local| local.dispatching.get()))
}

/// Whether this thread runs the loop, and requests to cancel travel along await links there.
pub(crate) fn runs_here_with_links(runtime: *const Shared) -> bool {
    with_local(|local| {
        local.is_some_and(|local| {
            local.shared.flavor == Flavor::CurrentThread && ptr::eq(Arc::as_ptr(&local.shared), runtime)
        })
    })
}

/// Whether this thread is a worker of some loop.
pub fn is_running() -> bool {
    !LOCAL.with(Cell::get).is_null()
}

#[track_caller]
fn panic_if_running() {
    assert!(
        !is_running(),
        "asyncio::run() cannot be called from a running event loop: this thread runs one already. Await the future \
         instead, or call run() in a thread of its own, with to_thread(|| asyncio::run(..)).await"
    );
}

/// Schedules a future to run as a task of the running loop, on any worker.
///
/// The task's body does not begin before the creator gives control back, or another worker is free. It runs also if the
/// [`Task`] is dropped.
///
/// # Panics
///
/// If no loop runs on this thread.
#[doc(alias = "asyncio.create_task")]
#[track_caller]
pub fn create_task<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let site = Location::caller();
    with_local(|local| match local {
        Some(local) => spawn(local, future, false, site),
        None => no_running_loop("create_task"),
    })
}

/// As [`create_task`], for a future that is not `Send`: it stays on the worker that created it.
///
/// # Panics
///
/// If no loop runs on this thread.
#[track_caller]
pub fn create_local_task<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let site = Location::caller();
    with_local(|local| match local {
        Some(local) => spawn(local, future, true, site),
        None => no_running_loop("create_local_task"),
    })
}

#[inline]
fn spawn<F: Future>(
    local: &Local,
    future: F,
    pinned: bool,
    site: &'static Location<'static>,
) -> Task<F::Output> {
    let birth = (local.next_id(), current_id(), site);
    let task = cell::allocate(future, pinned, Arc::as_ptr(&local.shared), birth);
    enter_task(&local.shared, local.index, task);
    local.push(task);
    Task::from_owned(task)
}

#[inline]
fn enter_task(shared: &Shared, shard: usize, task: TaskRef) {
    if !shared.registry.insert(shard, task) {
        refuse(task);
    }
}

#[cold]
fn refuse(task: TaskRef) -> ! {
    // The future goes on this thread, which is the one that made it.
    let _start = task.header().state.start();
    // SAFETY: nobody else knows the task, whose future was never polled.
    let _ = unsafe { (task.header().vtable.drop_future)(task.pointer()) };
    // The interest and the registry's reference, which nobody came to hold.
    task.drop_interest(true);
    task.drop_ref();
    panic!("the event loop is closed: no task can be created in it any more")
}

#[cold]
#[track_caller]
fn no_running_loop(what: &str) -> ! {
    panic!(
        "{what}() was called without a running event loop: call it inside of asyncio::run(..), on one of its threads"
    )
}

fn current_id() -> TaskId {
    let task = context::current_task();
    if task.is_null() { TaskId::NONE } else { current_ref(task).header().id }
}

fn current_ref(task: *const ()) -> TaskRef {
    TaskRef::new(ptr::NonNull::new(task.cast_mut().cast::<Header>()).expect("a task's address"))
}

/// The task that is running on this thread, if one is.
#[doc(alias = "asyncio.current_task")]
pub fn current_task() -> Option<TaskHandle> {
    let task = context::current_task();
    (!task.is_null()).then(|| TaskHandle::new(current_ref(task)))
}

/// The tasks of the running loop that have not ended, the caller's own included; none if no loop runs on this thread.
#[doc(alias = "asyncio.all_tasks")]
pub fn all_tasks() -> Vec<TaskHandle> {
    with_local(|local| local.map_or_else(Vec::new, |local| local.shared.registry.all()))
}

/// A runtime, from wherever: for spawning from other threads.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl Scheduler {
    fn new(shared: Arc<Shared>) -> Scheduler {
        Scheduler(shared)
    }

    /// The runtime that this thread is a worker of.
    pub fn try_current() -> Option<Scheduler> {
        with_local(|local| local.map(|local| Scheduler(local.shared.clone())))
    }

    /// Creates a task, from any thread.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let site = Location::caller();
        with_local(|local| match local {
            Some(local) if Arc::ptr_eq(&local.shared, &self.0) => spawn(local, future, false, site),
            _ => {
                let birth = (id::foreign(), current_id(), site);
                let task = cell::allocate(future, false, Arc::as_ptr(&self.0), birth);
                enter_task(&self.0, self.0.workers.len(), task);
                self.0.inject(task);
                Task::from_owned(task)
            }
        })
    }

    /// The tasks that have not ended.
    pub fn all_tasks(&self) -> Vec<TaskHandle> {
        self.0.registry.all()
    }

    /// The number of tasks that have not ended.
    pub fn task_count(&self) -> usize {
        self.0.registry.len()
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.0.workers.len()
    }

    /// How tasks are run.
    pub fn flavor(&self) -> Flavor {
        self.0.flavor
    }

    /// Whether workers run its tasks now.
    pub fn is_running(&self) -> bool {
        self.0.gate.is_running()
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.0.gate.is_stopping()
    }
}

impl PartialEq for Scheduler {
    fn eq(&self, other: &Scheduler) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Scheduler {}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("flavor", &self.flavor()).field("workers", &self.workers()).finish()
    }
}
