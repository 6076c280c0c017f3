//! A worker's queue of tasks that may run anywhere, in two rounds.
//!
//! What is readied lines up in the *running* round. Who gives way lines up in the *next* one, which becomes the running one when
//! that is empty. So tasks that were woken go before those that only gave way; and others, who steal from the running round,
//! leave a worker the latter until it has nothing better to do. Otherwise they would take each task that yields as soon as it
//! does, and have it wait on their core for what its own worker is about to release: then all who want a lock stand in its queue,
//! though it is held for a moment only.
//!
//! Nobody starves: those who gave way line up in a round that does not end, and what a worker in a long poll has put off is taken
//! by the watcher.

use std::cell::Cell;
use std::sync::Arc;

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::deque::{Steal, Stealer, Worker};

/// After so many polls, whatever was readied meanwhile, so many of those who gave way line up behind it. In models that happens
/// soon.
const LIMIT: u32 = if cfg!(kumihimo_loom) { 2 } else { 256 };

/// The owner's side.
pub(crate) struct Rounds<T> {
    /// The two rounds, which take turns.
    queues: [Worker<T>; 2],
    /// Which of them is running.
    running: Cell<usize>,
    /// The same, for the others.
    shown: Arc<AtomicUsize>,
    /// Polls until those who gave way line up in any case.
    left: Cell<u32>,
}

/// The others' side.
pub(crate) struct RoundsStealer<T> {
    /// The other ends of the two rounds.
    stealers: [Stealer<T>; 2],
    /// Which of them is running.
    shown: Arc<AtomicUsize>,
}

impl<T> Rounds<T> {
    pub(crate) fn new() -> Rounds<T> {
        Rounds {
            queues: [Worker::new_fifo(), Worker::new_fifo()],
            running: Cell::new(0),
            shown: Arc::default(),
            left: Cell::new(LIMIT),
        }
    }

    pub(crate) fn stealer(&self) -> RoundsStealer<T> {
        RoundsStealer { stealers: self.queues.each_ref().map(Worker::stealer), shown: self.shown.clone() }
    }

    /// The running round: for what was readied, here or elsewhere.
    #[inline]
    pub(crate) fn running(&self) -> &Worker<T> {
        &self.queues[self.running.get()]
    }

    #[inline]
    fn next(&self) -> &Worker<T> {
        &self.queues[1 - self.running.get()]
    }

    /// Adds a task that was readied.
    #[inline]
    pub(crate) fn push(&self, task: T) {
        self.running().push(task);
    }

    /// Adds a task that gave way.
    #[inline]
    pub(crate) fn push_next(&self, task: T) {
        self.next().push(task);
    }

    /// One more task is about to be polled, of this queue or not.
    #[inline]
    pub(crate) fn count_poll(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// With the next task, those who gave way line up behind the others: they have waited for long.
    pub(crate) fn hurry(&self) {
        self.left.set(0);
    }

    /// Takes the first task. If others may have a part of those who gave way from now on, `begun` is called.
    #[inline]
    pub(crate) fn pop(&self, begun: impl FnOnce()) -> Option<T> {
        if self.left.get() > 0
            && let Some(task) = self.running().pop()
        {
            return Some(task);
        }
        self.turn(begun)
    }

    fn turn(&self, begun: impl FnOnce()) -> Option<T> {
        let hurried = self.left.replace(LIMIT) == 0;
        // The rounds need not change places for nobody; others would see that.
        if self.next().is_empty() {
            return if hurried { self.running().pop() } else { None };
        }
        if self.running().is_empty() {
            self.swap();
        } else {
            // The round does not end. In order: what was readied before them stays before them.
            let put_off = std::iter::from_fn(|| self.next().pop());
            put_off.take(LIMIT as usize).for_each(|task| self.running().push(task));
        }
        let task = self.running().pop();
        if !self.running().is_empty() {
            begun();
        }
        task
    }

    fn swap(&self) {
        let next = 1 - self.running.get();
        self.running.set(next);
        // Relaxed: who looks at the other round for a moment longer finds nothing, or takes what it may take as well. For who
        // falls asleep over it, `begun` brings a fence.
        self.shown.store(next, Relaxed);
    }

    /// Puts those who gave way behind the others, for everybody to take: their worker stops.
    pub(crate) fn join(&self) {
        while let Some(task) = self.next().pop() {
            self.running().push(task);
        }
    }

    /// Whether there is no task.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(Worker::is_empty)
    }
}

impl<T> RoundsStealer<T> {
    #[inline]
    fn running(&self) -> &Stealer<T> {
        // Relaxed: see `Rounds::turn`.
        &self.stealers[self.shown.load(Relaxed)]
    }

    /// Whether there is nothing to steal, as a hint.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.running().is_empty()
    }

    /// Whether there are some who gave way, and whom nobody else sees yet; as a hint.
    pub(crate) fn has_put_off(&self) -> bool {
        !self.stealers[1 - self.shown.load(Relaxed)].is_empty()
    }

    /// Takes about half of the running round, and gives the first of that.
    pub(crate) fn steal_batch_and_pop(&self, into: &Rounds<T>) -> Steal<T> {
        self.running().steal_batch_and_pop(into.running())
    }

    /// Takes about half of those who gave way to others that its owner does not come to.
    pub(crate) fn rescue(&self, into: &Rounds<T>) {
        let next = &self.stealers[1 - self.shown.load(Relaxed)];
        if !next.is_empty() {
            let _contended = next.steal_batch(into.running());
        }
    }
}
