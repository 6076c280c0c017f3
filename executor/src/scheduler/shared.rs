//! What all workers of a runtime share.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::call::{Call, Ready};
use super::config::Hooks;
use super::gate::Gate;
use super::lifo::LifoSlot;
use super::registry::Registry;
use super::rounds::RoundsStealer;
use super::strand::{self, Strand};
use super::{spawn_hidden, with_local};
use crate::driver::Driver;
use crate::exceptions::Exceptions;
use crate::model;
use crate::sleep::Sleep;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use crate::sync::deque::{Injector, Steal};
use crate::task::header::TaskRef;

/// How tasks are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// On several workers that steal from each other.
    MultiThread,
    /// On one thread, in asyncio's passes: exactly what was ready runs, in order.
    CurrentThread,
}

/// A runtime, as its workers and its tasks see it.
pub(crate) struct Shared {
    pub(crate) flavor: Flavor,
    /// What each worker shows the others.
    pub(crate) workers: Box<[CachePadded<Remote>]>,
    /// Tasks that were readied by threads that are no workers.
    pub(crate) injector: Injector<TaskRef>,
    /// The flavour with one thread: what other threads have readied.
    pub(crate) outside: Injector<Ready>,
    /// The flavour with several: callbacks.
    pub(crate) strand: Strand,
    /// Where failures go that reach nobody.
    pub(crate) exceptions: Arc<Exceptions>,
    /// Somebody wants `run_forever` to return.
    pub(crate) stopping: AtomicBool,
    /// Who sleeps and who is woken.
    pub(crate) sleep: Sleep,
    /// In a user's model, what takes the place of queues and sleeping.
    #[cfg(kumihimo_loom)]
    pub(crate) model: Option<model::Queue>,
    /// Every task that has not ended.
    pub(crate) registry: Registry,
    /// Whether workers run, pause or stop.
    pub(crate) gate: Gate,
    /// Time and readiness.
    pub(crate) driver: Arc<dyn Driver>,
    /// The user's wishes at a thread's start and stop.
    pub(crate) hooks: Hooks,
}

/// What a worker shows the others.
pub(crate) struct Remote {
    /// The other end of its queue.
    pub(crate) stealer: RoundsStealer<TaskRef>,
    /// The task it runs next.
    pub(crate) lifo: LifoSlot,
    /// Pinned tasks that others have readied.
    pub(crate) inbox: Injector<TaskRef>,
    /// Polls so far: a worker that stands still is in a long one. Wraps.
    pub(crate) polls: AtomicU32,
}

impl Remote {
    pub(crate) fn new(stealer: RoundsStealer<TaskRef>) -> Remote {
        Remote { stealer, lifo: LifoSlot::new(), inbox: Injector::new(), polls: AtomicU32::new(0) }
    }

    pub(crate) fn polls(&self) -> u32 {
        // Relaxed: compared with itself, a while later.
        self.polls.load(Relaxed)
    }
}

impl Shared {
    /// In a user's model, what takes the place of queues and sleeping.
    #[inline(always)]
    pub(crate) fn model(&self) -> Option<&model::Queue> {
        #[cfg(kumihimo_loom)]
        return self.model.as_ref();
        #[cfg(not(kumihimo_loom))]
        None
    }

    /// Has every worker look whether it is to go on.
    pub(crate) fn rouse_all(&self) {
        match self.model() {
            Some(model) => model.rouse(),
            None => self.sleep.wake_all(|| self.driver.interrupt()),
        }
    }

    /// Has worker 0 look whether it is to go on.
    pub(crate) fn rouse_main(&self) {
        match self.model() {
            Some(model) => model.rouse(),
            None => self.sleep.wake_worker(0, || self.driver.interrupt()),
        }
    }

    /// Readies a task from a thread that is none of the workers.
    #[cold]
    pub(crate) fn inject(&self, task: TaskRef) {
        if let Some(model) = self.model() {
            model.push(task);
        } else if self.flavor == Flavor::CurrentThread {
            self.inject_ready(Ready::Task(task));
        } else if task.header().state.is_pinned() {
            let worker = task.header().place.shard as usize;
            self.workers[worker].inbox.push(task);
            self.sleep.wake_worker(worker, || self.driver.interrupt());
        } else {
            self.injector.push(task);
            self.sleep.notify(|| self.driver.interrupt());
        }
    }

    /// The flavour with one thread: readies something from another.
    fn inject_ready(&self, ready: Ready) {
        let call = matches!(ready, Ready::Call(_));
        self.outside.push(ready);
        if call && self.gate.is_stopping() {
            // Nobody may come to it any more.
            self.discard_outside();
        }
        self.sleep.wake_worker(0, || self.driver.interrupt());
    }

    /// Has something called soon: on one thread in the next pass, in line with the tasks; on several, on the strand.
    pub(crate) fn call_soon(self: &Arc<Self>, call: Call) {
        if self.gate.is_stopping() {
            return call.discard();
        }
        match self.flavor {
            Flavor::CurrentThread => with_local(|local| match local {
                Some(local) if Arc::ptr_eq(&local.shared, self) => local.push_call(call),
                _ => self.inject_ready(Ready::Call(call)),
            }),
            Flavor::MultiThread => {
                if self.strand.push(call) {
                    spawn_hidden(self, strand::drain(self.clone()));
                }
            }
        }
    }

    /// Drops the calls that other threads have left. Tasks among them are dropped by the thread that closes the loop.
    fn discard_outside(&self) {
        let mut tasks = Vec::new();
        while !self.outside.is_empty() {
            match self.outside.steal() {
                Steal::Success(Ready::Call(call)) => call.discard(),
                Steal::Success(task) => tasks.push(task),
                _ => {}
            }
        }
        tasks.into_iter().for_each(|task| self.outside.push(task));
    }
}
