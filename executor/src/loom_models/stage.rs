//! What the models are played on: a runtime without threads, a driver, and tasks that are run step by step.

use std::any::Any;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crossbeam_utils::CachePadded;
use loom::cell::UnsafeCell;
use loom::sync::Notify;

use crate::driver::{Driver, Turn};
use crate::scheduler::{Flavor, Gate, Hooks, Local, Registry, Remote, Rounds, Shared};
use crate::sleep::Sleep;
use crate::sync::deque::{Injector, Steal};
use crate::task::harness::{self, After, Manner};
use crate::task::header::TaskRef;
use crate::task::state::State;
use crate::task::{Task, cell, id, waker};

/// A driver that only waits. It asserts that one worker at a time is in there.
pub(super) struct Bell {
    bell: Notify,
    occupied: AtomicBool,
    /// Events that came: the next turn wakes who waits for them. Never contended, as loom does not switch in there.
    events: Mutex<Vec<Waker>>,
}

impl Bell {
    pub(super) fn new() -> Bell {
        Bell { bell: Notify::new(), occupied: AtomicBool::new(false), events: Mutex::default() }
    }

    /// An event comes, for which this waker waits.
    pub(super) fn event(&self, waker: Waker) {
        self.events.lock().unwrap().push(waker);
        self.bell.notify();
    }
}

impl Driver for Bell {
    fn enter(&self, _worker: usize) -> Box<dyn Any> {
        Box::new(())
    }

    fn turn(&self, turn: Turn) {
        assert!(!self.occupied.swap(true, SeqCst), "two workers are in the poller");
        match turn {
            Turn::Poll => {}
            Turn::Wait { limit: None, .. } => self.bell.wait(),
            // loom has no time: any limit has passed once others have had a turn.
            Turn::Wait { limit: Some(_), .. } => loom::thread::yield_now(),
        }
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        events.into_iter().for_each(Waker::wake);
        self.occupied.store(false, SeqCst);
    }

    fn interrupt(&self) {
        self.bell.notify();
    }

    fn fire_due(&self, _worker: usize) {}

    fn before_park(&self, _worker: usize) {}
}

/// A runtime whose workers are the model's own threads.
pub(super) fn runtime(workers: usize) -> (Arc<Shared>, Vec<Local>) {
    runtime_on(workers, Arc::new(Bell::new()))
}

/// The same, on this driver.
pub(super) fn runtime_on(workers: usize, driver: Arc<Bell>) -> (Arc<Shared>, Vec<Local>) {
    let queues: Vec<Rounds<TaskRef>> = (0..workers).map(|_| Rounds::new()).collect();
    let shared = Arc::new(Shared {
        flavor: Flavor::MultiThread,
        workers: queues.iter().map(|queue| CachePadded::new(Remote::new(queue.stealer()))).collect(),
        injector: Injector::new(),
        outside: Injector::new(),
        strand: Default::default(),
        exceptions: Arc::default(),
        stopping: crate::sync::atomic::AtomicBool::new(false),
        sleep: Sleep::new(workers),
        model: None,
        registry: Registry::new(workers + 1),
        gate: Gate::new(),
        driver,
        hooks: Hooks::default(),
    });
    let locals = queues.into_iter().enumerate();
    let locals = locals.map(|(index, queue)| Local::new(shared.clone(), index, queue)).collect();
    (shared, locals)
}

/// A runtime that only gives tasks a home: the model itself takes them out of the injector and runs them.
pub(super) fn home() -> Arc<Shared> {
    runtime(1).0
}

/// A task that is scheduled but in no queue.
pub(super) fn task<F: Future>(home: &Arc<Shared>, future: F) -> Task<F::Output> {
    let birth = (id::foreign(), id::foreign(), Location::caller());
    let task = cell::allocate(future, State::new(false), Arc::as_ptr(home), birth);
    assert!(home.registry.insert(home.workers.len(), task));
    Task::from_owned(task)
}

/// A waker that owns a reference.
pub(super) fn waker_of(task: TaskRef) -> Waker {
    Waker::clone(&waker::borrowed(task))
}

/// Runs a scheduled task until it is neither due nor woken during its step.
pub(super) fn run(task: TaskRef) {
    loop {
        let start = task.header().state.start();
        if harness::step(task, start, MANNER) == After::Nothing {
            return;
        }
    }
}

/// Ends a task that the caller has started or seized, as the end of a loop does.
pub(super) fn abandon(task: TaskRef) {
    harness::abandon(task);
}

const MANNER: Manner = Manner { budget: kumihimo_context::UNLIMITED, links: false };

/// Runs the tasks that are in the injector now.
pub(super) fn drain(home: &Shared) {
    loop {
        match home.injector.steal() {
            Steal::Success(task) => run(task),
            Steal::Retry => {}
            Steal::Empty => return,
        }
    }
}

/// Something that must be dropped exactly once, and not while somebody uses it.
pub(super) struct Value {
    cell: UnsafeCell<u32>,
    drops: Arc<AtomicUsize>,
}

impl Value {
    pub(super) fn new(number: u32, drops: &Arc<AtomicUsize>) -> Value {
        Value { cell: UnsafeCell::new(number), drops: drops.clone() }
    }

    pub(super) fn read(&self) -> u32 {
        // SAFETY: loom reports it if somebody writes at the same time, which is what is checked.
        self.cell.with(|number| unsafe { *number })
    }
}

impl Clone for Value {
    fn clone(&self) -> Value {
        Value { cell: UnsafeCell::new(self.read()), drops: self.drops.clone() }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: as in `read`.
        self.cell.with_mut(|number| unsafe { *number = 0 });
        self.drops.fetch_add(1, SeqCst);
    }
}

// SAFETY: loom's cell reports unsynchronised use, which is what is checked.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

/// A number of drops, to start with.
pub(super) fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}
