//! `Scheduler`: a runtime, from any thread.

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::Waker;

use kumihimo_context::model::atomic;

use super::call::Call;
use super::shared::{Flavor, Shared};
use super::{current_id, enter_task, inherit, spawn, spawn_hidden, with_local};
use crate::exceptions::{ExceptionContext, ExceptionHandler};
use crate::model::trace;
use crate::sync::atomic::Ordering::Relaxed;
use crate::task::state::State;
use crate::task::{Promise, Task, TaskHandle, cell, id};

/// A runtime, from wherever: for spawning from other threads.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl Scheduler {
    pub(super) fn new(shared: Arc<Shared>) -> Scheduler {
        Scheduler(shared)
    }

    /// A runtime that a model is played on.
    #[cfg(all(test, kumihimo_loom))]
    pub(crate) fn of(shared: Arc<Shared>) -> Scheduler {
        Scheduler(shared)
    }

    /// The runtime that this thread is a worker of.
    pub fn try_current() -> Option<Scheduler> {
        with_local(|local| local.map(|local| Scheduler(local.shared.clone())))
    }

    /// The same, without keeping it.
    pub fn downgrade(&self) -> WeakScheduler {
        WeakScheduler(Arc::downgrade(&self.0))
    }

    /// Whether this thread is one of its workers.
    pub fn is_current(&self) -> bool {
        with_local(|local| local.is_some_and(|local| Arc::ptr_eq(&local.shared, &self.0)))
    }

    /// Creates a task, from any thread.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
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
                let _atomic = atomic();
                let birth = (id::foreign(), current_id(), site);
                let task = cell::allocate(future, State::new(false), Arc::as_ptr(&self.0), birth);
                trace::created(task);
                inherit(task);
                enter_task(&self.0, self.0.workers.len(), task);
                self.0.inject(task);
                Task::from_owned(task)
            }
        })
    }

    /// Starts a task of the runtime's own, which no list shows, nobody awaits and nothing cancels: it is dropped when the
    /// loop is closed, now if it is closed already.
    pub fn spawn_hidden(&self, future: impl Future<Output = ()> + Send + 'static) {
        spawn_hidden(&self.0, future);
    }

    /// A value that somebody will set: asyncio's `Future`.
    #[doc(alias = "asyncio.loop.create_future")]
    #[track_caller]
    pub fn create_future<T: Send + 'static>(&self) -> Promise<T> {
        Promise::new(&self.0)
    }

    /// Has `callback` called soon, from any thread: on one thread in the next pass, in line with the tasks; on several, one
    /// callback at a time, in order. On a closed loop it is dropped.
    pub fn call_soon(&self, callback: Box<dyn FnOnce() + Send>) {
        match self.is_closed() {
            true => Call::Run(callback).discard(),
            false => self.0.call_soon(Call::Run(callback)),
        }
    }

    /// Has `callback` called by who fires timers: on one thread in line with the tasks, in this pass; on several, now.
    ///
    /// For the wakers of timers.
    pub fn call_from_timer(&self, callback: Box<dyn FnOnce() + Send>) {
        match self.0.flavor {
            Flavor::CurrentThread => self.0.call_soon(Call::Run(callback)),
            Flavor::MultiThread => callback(),
        }
    }

    /// Has [`Runtime::run_forever`](crate::Runtime::run_forever) and
    /// [`Runtime::run_until_complete`](crate::Runtime::run_until_complete) return: on one thread at the end of the pass. Before
    /// such a run, it lets that make one pass.
    pub fn stop(&self) {
        // Relaxed: the wake-up that follows synchronises.
        self.0.stopping.store(true, Relaxed);
        self.0.rouse_main();
    }

    /// Sets the handler for failures that reach nobody; `None` restores the default, which writes to the standard error.
    pub fn set_exception_handler(&self, handler: Option<ExceptionHandler>) {
        self.0.exceptions.set(handler);
    }

    /// The handler that was set.
    pub fn exception_handler(&self) -> Option<ExceptionHandler> {
        self.0.exceptions.get()
    }

    /// Calls the handler, or the default one. Never panics.
    pub fn call_exception_handler(&self, context: &ExceptionContext) {
        self.0.exceptions.call(context);
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

    /// Has `waker` woken when the workers stand still, between two runs or for good; false if they do so now.
    ///
    /// It must not block, nor panic.
    pub fn wake_at_standstill(&self, waker: Waker) -> bool {
        self.0.gate.watch(waker)
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.0.gate.is_stopping()
    }
}

/// A [`Scheduler`] that does not keep the runtime's memory.
#[derive(Clone)]
pub struct WeakScheduler(Weak<Shared>);

impl WeakScheduler {
    /// The scheduler, if anybody still has it.
    pub fn upgrade(&self) -> Option<Scheduler> {
        self.0.upgrade().map(Scheduler)
    }
}

impl fmt::Debug for WeakScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakScheduler").finish_non_exhaustive()
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
