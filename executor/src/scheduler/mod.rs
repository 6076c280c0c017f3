//! Workers, queues, and how tasks get from one to the other.
//!
//! [`local`] is a worker's own side, [`shared`] what it shares; [`work`] finds work on several workers, [`pass`] runs
//! asyncio's passes on one thread; [`call`] and [`strand`] are what runs besides tasks; [`handle`] reaches all that from other
//! threads; [`runtime`] owns the threads, [`close`] ends them.

mod call;
mod close;
mod config;
mod gate;
mod handle;
mod lifo;
mod local;
mod main_future;
mod pass;
mod registry;
mod rounds;
mod runtime;
mod services;
mod shard_lock;
mod shared;
mod strand;
mod work;

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;

use kumihimo_context::{self as context, model::atomic};

use crate::exceptions::Exceptions;
use crate::model::trace;
use crate::sync::local;
use crate::task::harness::After;
use crate::task::header::{Header, TaskRef};
use crate::task::id::TaskId;
use crate::task::link::Noting;
use crate::task::state::State;
use crate::task::waiters::tell_observer;
use crate::task::{Observer, Task, TaskBuilder, TaskHandle, cell, id};
use crate::variables;

pub use config::Builder;
pub use handle::{Scheduler, WeakScheduler};
pub use runtime::{Runtime, Session};
pub use shared::Flavor;

pub(crate) use call::Call;
pub(crate) use local::Local;
pub(crate) use shared::Shared;

// What the models are played on.
#[cfg(all(test, kumihimo_loom))]
pub(crate) use {
    close::drop_all_tasks, config::Hooks, gate::Gate, lifo::LifoSlot, registry::Registry, rounds::Rounds,
    shared::Remote,
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

/// The runtime that this thread works for.
#[cfg(kumihimo_loom)]
pub(crate) fn shared_here() -> Option<Arc<Shared>> {
    with_local(|local| local.map(|local| local.shared.clone()))
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
    // The task is scheduled but in no queue yet, so it is not complete, and a runtime does not end before all its tasks are
    // complete. The count taken here keeps the runtime alive while the worker that finds the task, may complete it and may
    // end the runtime, overtakes us.
    upgrade(runtime).inject(task);
}

/// Whether the driver is waking tasks on this thread, and how.
#[inline]
pub(crate) fn dispatching() -> Dispatching {
    with_local(|local| local.map_or(Dispatching::No, |local| local.dispatching.get()))
}

/// On one thread, while the driver wakes tasks: has this one woken in its turn. False if it belongs to another loop.
#[cold]
pub(crate) fn wake_in_turn(task: &TaskHandle) -> bool {
    with_local(|local| {
        let local = local.expect("the driver is called by a worker");
        let ours = ptr::eq(Arc::as_ptr(&local.shared), task.task().header().runtime);
        if ours {
            local.push_call(Call::Wake(task.clone()));
        }
        ours
    })
}

/// Whether the driver is waking tasks on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dispatching {
    /// It is not.
    No,
    /// It is, and they line up.
    Tasks,
    /// It is, and what wakes them lines up: one thread's passes run that first.
    Calls,
}

/// Whether this thread may look at what a task has ended with: of a pinned task, only its worker.
pub(crate) fn may_touch_output(task: TaskRef) -> bool {
    let header = task.header();
    !header.state.is_pinned()
        || with_local(|local| {
            local.is_some_and(|local| {
                ptr::eq(Arc::as_ptr(&local.shared), header.runtime)
                    && local.index == header.place.shard as usize
            })
        })
}

/// Has a callback called soon, by the loop of this task.
///
/// A task that has ended does not keep its loop alive: if that is closed, and this thread works for another or none, the
/// callback is dropped.
pub(crate) fn call_soon(header: &Header, callback: Box<dyn FnOnce() + Send>) {
    let promised_by = header.try_extras().and_then(|extras| extras.promised_by.lock().clone());
    let here = || with_local(|local| local.map(|local| local.shared.clone()));
    match promised_by.or_else(here) {
        Some(shared) => shared.call_soon(Call::Run(callback)),
        None => Call::Run(callback).discard(),
    }
}

/// Tells an observer of a task that has ended already.
pub(crate) fn tell_soon(observer: Arc<dyn Observer>, index: usize, with_value: bool) {
    match with_local(|local| local.map(|local| local.shared.clone())) {
        Some(shared) => tell_observer(&shared, observer, index, with_value),
        None => observer.ended(index, with_value),
    }
}

/// Where the reports of this runtime go, if this thread works for it.
pub(crate) fn exceptions_here(runtime: *const Shared) -> Option<Arc<Exceptions>> {
    with_local(|local| {
        local
            .filter(|local| ptr::eq(Arc::as_ptr(&local.shared), runtime))
            .map(|local| local.shared.exceptions.clone())
    })
}

/// A runtime that is known to be alive: a task of it has not ended, this thread works for it, or a promise of it is held.
pub(crate) fn upgrade(runtime: *const Shared) -> Arc<Shared> {
    // SAFETY: alive, says the caller, and always in an `Arc`; the count is taken for the one that is returned.
    unsafe {
        Arc::increment_strong_count(runtime);
        Arc::from_raw(runtime)
    }
}

/// Whether this thread runs the loop, and requests to cancel travel along await links there.
pub(crate) fn runs_here_with_links(runtime: *const Shared) -> bool {
    with_local(|local| {
        local.is_some_and(|local| {
            local.shared.flavor == Flavor::CurrentThread && ptr::eq(Arc::as_ptr(&local.shared), runtime)
        })
    })
}

/// Whether requests to cancel travel along await links in the loop that this thread runs.
#[doc(hidden)]
pub fn links_here() -> bool {
    with_local(|local| local.is_some_and(|local| local.shared.flavor == Flavor::CurrentThread))
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
#[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
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
#[must_use = "dropping a Task detaches it; await it, or use `drop` or `let _detached =` to say that this is meant"]
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

/// Makes a task as a builder says.
#[track_caller]
pub(crate) fn build<F: Future>(
    settings: TaskBuilder,
    future: F,
    pinned: bool,
    site: &'static Location<'static>,
) -> Task<F::Output> {
    with_local(|local| {
        let Some(local) = local else { no_running_loop("task::Builder::spawn") };
        let _atomic = atomic();
        let birth = (local.next_id(), current_id(), site);
        let task = cell::allocate(future, State::new(pinned), Arc::as_ptr(&local.shared), birth);
        trace::created(task);
        if let Some(name) = settings.name {
            trace::named(task.header(), &name);
            *task.header().extras().name.lock() = Some(name);
        }
        if let Some(context) = settings.context.or_else(variables::inherited) {
            variables::give(task, context);
        }
        enter_task(&local.shared, local.index, task);
        let owned = Task::from_owned(task);
        if !settings.eager {
            local.push_new(task);
        } else {
            let _noting = Noting::begin();
            // What its creator is about to hear of stays the creator's.
            if context::keeping_message(|| local.run(task)) == After::Schedule {
                local.push_back(task);
            }
        }
        owned
    })
}

#[inline]
fn spawn<F: Future>(
    local: &Local,
    future: F,
    pinned: bool,
    site: &'static Location<'static>,
) -> Task<F::Output> {
    let _atomic = atomic();
    let birth = (local.next_id(), current_id(), site);
    let task = cell::allocate(future, State::new(pinned), Arc::as_ptr(&local.shared), birth);
    trace::created(task);
    inherit(task);
    enter_task(&local.shared, local.index, task);
    local.push_new(task);
    Task::from_owned(task)
}

/// Starts a task of the runtime's own, which no list shows. On a closed loop it is dropped.
fn spawn_hidden(shared: &Arc<Shared>, future: impl Future<Output = ()> + Send + 'static) {
    let _atomic = atomic();
    let birth = (id::foreign(), TaskId::HIDDEN, Location::caller());
    let task = cell::allocate(future, State::new(false), Arc::as_ptr(shared), birth);
    trace::created(task);
    if !shared.registry.insert(shared.workers.len(), task) {
        return drop_unborn(task);
    }
    with_local(|local| match local {
        Some(local) if Arc::ptr_eq(&local.shared, shared) => local.push(task),
        _ => shared.inject(task),
    });
    drop(Task::<()>::from_owned(task));
}

/// Gives a new task a copy of its creator's context.
#[inline]
fn inherit(task: TaskRef) {
    #[cold]
    fn copy(task: TaskRef) {
        if let Some(context) = variables::inherited() {
            variables::give(task, context);
        }
    }

    if variables::may_be_set() {
        copy(task);
    }
}

#[inline]
fn enter_task(shared: &Shared, shard: usize, task: TaskRef) {
    if !shared.registry.insert(shard, task) {
        refuse(task);
    }
}

#[cold]
fn refuse(task: TaskRef) -> ! {
    drop_unborn(task);
    panic!("the event loop is closed: no task can be created in it any more")
}

/// Drops a task that no queue and no registry knows, on the thread that made it.
fn drop_unborn(task: TaskRef) {
    let _start = task.header().state.start();
    // SAFETY: nobody else knows the task, whose future was never polled.
    let _ = unsafe { (task.header().vtable.drop_future)(task.pointer()) };
    // The interest and the registry's reference, which nobody came to hold.
    task.drop_interest(true);
    task.drop_ref();
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
