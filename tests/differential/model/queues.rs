//! `queues.py`.

use std::cell::{Cell, RefCell};

use super::exception::{Cause, Exception, Message, Value};
use super::future::wait_future;
use super::locks::{Event, Futures, Waiters, remove};
use crate::outcome::Error;
use crate::primitive::Order;

/// What operations that never wait raise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refused {
    Empty,
    Full,
    ShutDown,
}

/// `ValueError`
pub(super) struct TooManyDone;

/// `Queue`, `LifoQueue` or `PriorityQueue`.
pub(super) struct Queue {
    futures: Futures,
    order: Order,
    maxsize: usize,
    getters: Waiters,
    putters: Waiters,
    unfinished_tasks: Cell<usize>,
    finished: Event,
    /// In the order in which they were put.
    queue: RefCell<Vec<usize>>,
    is_shutdown: Cell<bool>,
}

impl Queue {
    pub(super) fn new(futures: &Futures, order: Order, maxsize: usize) -> Queue {
        let finished = Event::new(futures);
        finished.set();
        Queue {
            futures: futures.clone(),
            order,
            maxsize,
            getters: Waiters::default(),
            putters: Waiters::default(),
            unfinished_tasks: Cell::new(0),
            finished,
            queue: RefCell::default(),
            is_shutdown: Cell::new(false),
        }
    }

    /// `_get()`
    fn take(&self) -> usize {
        let mut queue = self.queue.borrow_mut();
        let at = match self.order {
            Order::Fifo => 0,
            Order::Lifo => queue.len() - 1,
            Order::Priority => (0..queue.len()).min_by_key(|at| queue[*at]).expect("it is not empty"),
        };
        queue.remove(at)
    }

    /// `_wakeup_next(waiters)`
    fn wakeup_next(waiters: &Waiters) {
        let pop = || waiters.borrow_mut().pop_front();
        while let Some(waiter) = pop() {
            if !waiter.done() {
                waiter.set_result(Ok(Value::None));
                break;
            }
        }
    }

    pub(super) fn qsize(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(super) fn empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    pub(super) fn full(&self) -> bool {
        self.maxsize > 0 && self.qsize() >= self.maxsize
    }

    pub(super) async fn put(&self, item: usize) -> Result<(), Exception> {
        while self.full() {
            if self.is_shutdown.get() {
                return Err(Exception::Error(Error::QueueShutDown));
            }
            self.wait_in(&self.putters, || self.full()).await?;
        }
        self.put_nowait(item).map_err(raised)
    }

    pub(super) fn put_nowait(&self, item: usize) -> Result<(), Refused> {
        if self.is_shutdown.get() {
            return Err(Refused::ShutDown);
        }
        if self.full() {
            return Err(Refused::Full);
        }
        self.queue.borrow_mut().push(item);
        self.unfinished_tasks.set(self.unfinished_tasks.get() + 1);
        self.finished.clear();
        Queue::wakeup_next(&self.getters);
        Ok(())
    }

    pub(super) async fn get(&self) -> Result<usize, Exception> {
        while self.empty() {
            if self.is_shutdown.get() {
                return Err(Exception::Error(Error::QueueShutDown));
            }
            self.wait_in(&self.getters, || self.empty()).await?;
        }
        self.get_nowait().map_err(raised)
    }

    pub(super) fn get_nowait(&self) -> Result<usize, Refused> {
        if self.empty() {
            return Err(if self.is_shutdown.get() { Refused::ShutDown } else { Refused::Empty });
        }
        let item = self.take();
        Queue::wakeup_next(&self.putters);
        Ok(item)
    }

    /// What `put` and `get` have in common: wait to be woken, and if cancelled instead while the call could be taken, wake
    /// the next in line.
    async fn wait_in(&self, waiters: &Waiters, blocked: impl Fn() -> bool) -> Result<(), Exception> {
        let waiter = self.futures.create_future();
        waiters.borrow_mut().push_back(waiter.clone());
        if let Err(cancelled) = wait_future(&waiter).await {
            waiter.cancel(Message::none(Cause::Cancel));
            remove(waiters, &waiter);
            if !blocked() && !waiter.cancelled() {
                Queue::wakeup_next(waiters);
            }
            return Err(cancelled);
        }
        Ok(())
    }

    pub(super) fn task_done(&self) -> Result<(), TooManyDone> {
        let unfinished = self.unfinished_tasks.get();
        self.unfinished_tasks.set(unfinished.checked_sub(1).ok_or(TooManyDone)?);
        if unfinished == 1 {
            self.finished.set();
        }
        Ok(())
    }

    pub(super) async fn join(&self) -> Result<(), Exception> {
        if self.unfinished_tasks.get() > 0 {
            self.finished.wait().await?;
        }
        Ok(())
    }

    pub(super) fn shutdown(&self, immediate: bool) {
        self.is_shutdown.set(true);
        if immediate {
            while !self.empty() {
                self.take();
                self.unfinished_tasks.set(self.unfinished_tasks.get().saturating_sub(1));
            }
            if self.unfinished_tasks.get() == 0 {
                self.finished.set();
            }
        }
        for waiters in [&self.getters, &self.putters] {
            for waiter in waiters.take() {
                if !waiter.done() {
                    waiter.set_result(Ok(Value::None));
                }
            }
        }
    }
}

/// What `put` and `get` raise from the last thing they do.
fn raised(refused: Refused) -> Exception {
    assert_eq!(refused, Refused::ShutDown, "the queue was looked at just before");
    Exception::Error(Error::QueueShutDown)
}

impl Refused {
    pub(super) fn show(self) -> &'static str {
        match self {
            Refused::Empty => crate::outcome::QUEUE_EMPTY,
            Refused::Full => crate::outcome::QUEUE_FULL,
            Refused::ShutDown => crate::outcome::QUEUE_SHUT_DOWN,
        }
    }
}
