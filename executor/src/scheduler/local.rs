//! A worker's own side: its queues, and what it knows without asking anybody.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatching;
use super::call::{Call, Ready};
use super::rounds::Rounds;
use super::shared::{Flavor, Remote, Shared};
use crate::clock;
use crate::spin::Spin;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::deque::Steal;
use crate::task::harness::{self, After, Manner};
use crate::task::header::TaskRef;
use crate::task::id::{IdBlock, TaskId};

/// Operations that a poll may complete before leaves make it give way: a loop on a socket that is always ready yields.
pub(crate) const BUDGET: u32 = 128;

/// How long a worker without work spins, where that has been worth it: less than falling asleep and waking costs.
const SPIN: Duration = Duration::from_micros(4);

/// A worker. Used by its own thread only.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// Which worker this is.
    pub(crate) index: usize,
    /// Tasks that may run anywhere; the other end is in `Remote`. Empty in the flavour with one thread.
    pub(crate) queue: Rounds<TaskRef>,
    /// Tasks that run here only, in order. Empty in the flavour with one thread.
    pub(crate) pinned: RefCell<VecDeque<TaskRef>>,
    /// The flavour with one thread: all that is ready, in order.
    pub(crate) ready: RefCell<VecDeque<Ready>>,
    /// The next task ids.
    ids: RefCell<IdBlock>,
    /// Whether the driver is waking tasks: they go to the end of the queue, in order.
    pub(crate) dispatching: Cell<Dispatching>,
    /// Tasks that the turn in progress has readied.
    pub(crate) dispatched: Cell<usize>,
    /// This worker counts as searching.
    pub(crate) searching: Cell<bool>,
    /// Tasks that may still be taken from the LIFO slot in a row.
    pub(crate) lifo_left: Cell<u32>,
    /// Which of the two queues the next look begins with.
    pub(crate) pinned_first: Cell<bool>,
    /// Polls until the next look at time, readiness and the injector.
    pub(crate) until_look: Cell<u32>,
    /// Polls between two looks.
    pub(crate) look_every: Cell<u32>,
    /// Looks after each poll that are still to come, as there was a long one.
    pub(crate) wary: Cell<u32>,
    /// When the last look was.
    pub(crate) looked: Cell<Instant>,
    /// When this worker last looked at the poller.
    pub(crate) turned: Cell<Instant>,
    /// Whether spinning before sleeping is worth it.
    pub(crate) spin: RefCell<Spin>,
    /// Of each worker, its polls when this one last watched, and for how many times they had been that by then.
    pub(crate) seen: RefCell<Box<[(u32, u32)]>>,
    /// When this worker last looked for tasks that are stuck in LIFO slots.
    pub(crate) watched: Cell<Instant>,
    /// When this worker last counted, for that, who stands still.
    pub(crate) rescued: Cell<Instant>,
    /// Turns of all workers, when this one last watched.
    pub(crate) seen_turns: Cell<u64>,
    /// Where stealing begins.
    pub(crate) random: RefCell<fastrand::Rng>,
}

impl Local {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, queue: Rounds<TaskRef>) -> Local {
        let now = clock::now();
        let workers = shared.workers.len();
        Local {
            shared,
            index,
            queue,
            pinned: RefCell::default(),
            ready: RefCell::default(),
            ids: RefCell::default(),
            dispatching: Cell::new(Dispatching::No),
            dispatched: Cell::new(0),
            searching: Cell::new(false),
            lifo_left: Cell::new(0),
            pinned_first: Cell::new(false),
            until_look: Cell::new(1),
            look_every: Cell::new(1),
            wary: Cell::new(0),
            looked: Cell::new(now),
            turned: Cell::new(now),
            spin: RefCell::new(Spin::new(SPIN)),
            seen: RefCell::new(vec![(0, 0); workers].into()),
            watched: Cell::new(now),
            rescued: Cell::new(now),
            seen_turns: Cell::new(0),
            random: RefCell::new(fastrand::Rng::with_seed(index as u64 + 1)),
        }
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.shared.workers[self.index]
    }

    pub(crate) fn next_id(&self) -> TaskId {
        self.ids.borrow_mut().next()
    }

    /// Readies a task from this worker's thread.
    #[inline]
    pub(crate) fn push(&self, task: TaskRef) {
        self.ready_here::<false>(task);
    }

    /// Readies a task that this worker has made.
    #[inline]
    pub(crate) fn push_new(&self, task: TaskRef) {
        self.ready_here::<true>(task);
    }

    #[inline]
    fn ready_here<const NEW: bool>(&self, task: TaskRef) {
        let header = task.header();
        if let Some(model) = self.shared.model() {
            model.push(task);
        } else if self.shared.flavor == Flavor::CurrentThread {
            self.ready.borrow_mut().push_back(Ready::Task(task));
        } else if header.state.is_pinned() {
            if header.place.shard as usize == self.index {
                self.pinned.borrow_mut().push_back(task);
            } else {
                self.shared.inject(task);
            }
        } else if self.dispatching.get() != Dispatching::No {
            self.queue.push(task);
            self.dispatched.set(self.dispatched.get() + 1);
        } else if let Some(older) = self.remote().lifo.put(task, NEW) {
            self.queue.push(older);
            self.shared.sleep.notify(|| self.shared.driver.interrupt());
        } else {
            // This poll may be long: somebody must look after the task then.
            self.shared.sleep.ensure_watch(|| self.shared.driver.interrupt());
        }
    }

    /// The flavour with one thread: has something called in the next pass.
    pub(crate) fn push_call(&self, call: Call) {
        self.ready.borrow_mut().push_back(Ready::Call(call));
    }

    /// Puts a task that gave way behind all others.
    #[inline]
    pub(crate) fn push_back(&self, task: TaskRef) {
        if let Some(model) = self.shared.model() {
            return model.push(task);
        }
        if self.shared.flavor == Flavor::CurrentThread {
            return self.ready.borrow_mut().push_back(Ready::Task(task));
        }
        if task.header().state.is_pinned() {
            return self.pinned.borrow_mut().push_back(task);
        }
        self.queue.push_next(task);
        // Others can't take it yet; what runs here first may be long, and then somebody must look after it.
        let others = self.remote().lifo.is_full() || !self.queue.running().is_empty();
        if others || !self.pinned.borrow().is_empty() {
            self.shared.sleep.ensure_watch(|| self.shared.driver.interrupt());
        }
    }

    /// Runs a task that was taken out of a queue.
    #[inline]
    pub(crate) fn run(&self, task: TaskRef) -> After {
        let polls = &self.remote().polls;
        // Only this worker writes it.
        polls.store(polls.load(Relaxed).wrapping_add(1), Relaxed);
        let start = task.header().state.start();
        if start.heavy && start.io_woken {
            self.shared.sleep.hand_over();
        }
        harness::step(task, start, self.manner())
    }

    fn manner(&self) -> Manner {
        match self.shared.flavor {
            Flavor::MultiThread => Manner { budget: BUDGET, links: false },
            Flavor::CurrentThread => Manner { budget: kumihimo_context::UNLIMITED, links: true },
        }
    }

    /// Lets the driver wake tasks; they line up in order.
    pub(crate) fn dispatch(&self, wake: impl FnOnce()) {
        let before = self.dispatching.replace(match self.shared.flavor {
            Flavor::MultiThread => Dispatching::Tasks,
            Flavor::CurrentThread => Dispatching::Calls,
        });
        self.dispatched.set(0);
        wake();
        self.dispatching.set(before);
        // None in a model.
        let readied = self.dispatched.get();
        if readied > 1 {
            // One for this worker; of the rest, every second wakes somebody, who passes the word on.
            self.shared.sleep.wake_many(readied / 2, Some(self.index), || self.shared.driver.interrupt());
        }
    }

    /// Takes what others have put into the inbox.
    pub(crate) fn empty_inbox(&self) {
        let inbox = &self.remote().inbox;
        while !inbox.is_empty() {
            if let Steal::Success(task) = inbox.steal() {
                self.pinned.borrow_mut().push_back(task);
            }
        }
    }
}
