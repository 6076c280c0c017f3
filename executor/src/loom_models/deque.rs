//! A twin of crossbeam's deques, which know no loom.
//!
//! It promises no more than they do: who takes an item sees what came before its push, and that is all. `is_empty` is a
//! relaxed look that may miss a push, and orders nothing; who needs more brings a fence. Contention is answered with
//! [`Steal::Retry`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

pub(crate) use crossbeam_deque::Steal;
use kumihimo_context::model::atomic::{AtomicUsize, Ordering::*};

struct Queue<T> {
    /// How many items others may know of. All ordering comes from here.
    len: AtomicUsize,
    /// The items. loom never switches threads inside of std's lock, so this orders nothing in a model.
    items: Mutex<VecDeque<T>>,
}

impl<T> Queue<T> {
    fn new() -> Queue<T> {
        Queue { len: AtomicUsize::new(0), items: Mutex::new(VecDeque::new()) }
    }

    fn push(&self, item: T) {
        // In this order, and without a switch in between, or an item could be taken by the release of another.
        self.len.fetch_add(1, Release);
        self.items.lock().unwrap().push_back(item);
    }

    fn is_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    fn steal(&self) -> Steal<T> {
        match self.len.load(Relaxed) {
            0 => Steal::Empty,
            len => match self.len.compare_exchange(len, len - 1, Acquire, Relaxed) {
                Ok(_) => Steal::Success(self.items.lock().unwrap().pop_front().expect("it was counted")),
                Err(_) => Steal::Retry,
            },
        }
    }

    fn steal_batch(&self, into: &Worker<T>) -> Steal<()> {
        match self.steal_batch_and_pop(into) {
            Steal::Success(item) => {
                into.push(item);
                Steal::Success(())
            }
            Steal::Empty => Steal::Empty,
            Steal::Retry => Steal::Retry,
        }
    }

    /// One item, and half of the others for the thief's own queue.
    fn steal_batch_and_pop(&self, into: &Worker<T>) -> Steal<T> {
        let first = self.steal();
        if first.is_success() {
            for _ in 0..self.items.lock().unwrap().len() / 2 {
                if let Steal::Success(item) = self.steal() {
                    into.push(item);
                }
            }
        }
        first
    }
}

/// The owner's side of a worker's queue.
pub(crate) struct Worker<T>(Arc<Queue<T>>);

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Worker<T> {
        Worker(Arc::new(Queue::new()))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        loop {
            match self.0.steal() {
                Steal::Success(item) => return Some(item),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The thieves' side of a worker's queue.
pub(crate) struct Stealer<T>(Arc<Queue<T>>);

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steal_batch(&self, into: &Worker<T>) -> Steal<()> {
        self.0.steal_batch(into)
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(into)
    }
}

/// A queue that everybody pushes to.
pub(crate) struct Injector<T>(Queue<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Injector<T> {
        Injector(Queue::new())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    pub(crate) fn steal_batch(&self, into: &Worker<T>) -> Steal<()> {
        self.0.steal_batch(into)
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Steal<T> {
        self.0.steal_batch_and_pop(into)
    }
}
