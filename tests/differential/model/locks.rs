//! `locks.py`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::event_loop::Loop;
use super::exception::{Cause, Exception, Value};
use super::future::{Future, wait_future};
use super::interpreter::Messages;
use crate::outcome::Error;

/// `_get_loop()`: who makes the futures that tasks wait on.
#[derive(Clone)]
pub(super) struct Futures {
    pub(super) event_loop: Rc<Loop>,
    pub(super) messages: Messages,
}

impl Futures {
    pub(super) fn create_future(&self) -> Rc<Future> {
        Future::new(&self.event_loop, self.messages)
    }
}

/// `_waiters`
pub(super) type Waiters = RefCell<VecDeque<Rc<Future>>>;

/// `waiters.remove(fut)`, where Python ignores a `ValueError`.
pub(super) fn remove(waiters: &Waiters, fut: &Rc<Future>) {
    waiters.borrow_mut().retain(|other| !Rc::ptr_eq(other, fut));
}

pub(super) struct Lock {
    futures: Futures,
    waiters: Waiters,
    locked: Cell<bool>,
}

impl Lock {
    pub(super) fn new(futures: &Futures) -> Lock {
        Lock { futures: futures.clone(), waiters: Waiters::default(), locked: Cell::new(false) }
    }

    pub(super) fn locked(&self) -> bool {
        self.locked.get()
    }

    pub(super) async fn acquire(&self) -> Result<(), Exception> {
        if !self.locked.get() && self.waiters.borrow().iter().all(|w| w.cancelled()) {
            self.locked.set(true);
            return Ok(());
        }
        let fut = self.futures.create_future();
        self.waiters.borrow_mut().push_back(fut.clone());
        let result = wait_future(&fut).await;
        remove(&self.waiters, &fut);
        if let Err(cancelled) = result {
            if !self.locked.get() {
                self.wake_up_first();
            }
            return Err(cancelled);
        }
        self.locked.set(true);
        Ok(())
    }

    pub(super) fn release(&self) {
        assert!(self.locked.replace(false), "RuntimeError: Lock is not acquired");
        self.wake_up_first();
    }

    fn wake_up_first(&self) {
        let first = self.waiters.borrow().front().cloned();
        if let Some(fut) = first
            && !fut.done()
        {
            fut.set_result(Ok(Value::None));
        }
    }
}

pub(super) struct Event {
    futures: Futures,
    waiters: Waiters,
    value: Cell<bool>,
}

impl Event {
    pub(super) fn new(futures: &Futures) -> Event {
        Event { futures: futures.clone(), waiters: Waiters::default(), value: Cell::new(false) }
    }

    pub(super) fn is_set(&self) -> bool {
        self.value.get()
    }

    pub(super) fn set(&self) {
        if !self.value.replace(true) {
            for fut in &*self.waiters.borrow() {
                if !fut.done() {
                    fut.set_result(Ok(Value::None));
                }
            }
        }
    }

    pub(super) fn clear(&self) {
        self.value.set(false);
    }

    pub(super) async fn wait(&self) -> Result<(), Exception> {
        if self.value.get() {
            return Ok(());
        }
        let fut = self.futures.create_future();
        self.waiters.borrow_mut().push_back(fut.clone());
        let result = wait_future(&fut).await;
        remove(&self.waiters, &fut);
        result.map(drop)
    }
}

/// Which of the two waits of a condition's is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Waits {
    ForNotification,
    ForLock,
}

pub(super) struct Condition {
    futures: Futures,
    lock: Rc<Lock>,
    waiters: Waiters,
}

impl Condition {
    pub(super) fn new(futures: &Futures, lock: Rc<Lock>) -> Condition {
        Condition { futures: futures.clone(), lock, waiters: Waiters::default() }
    }

    pub(super) fn lock(&self) -> &Rc<Lock> {
        &self.lock
    }

    /// `wait()`. Tells `interrupted` of cancellations, and where they arrived.
    pub(super) async fn wait(&self, interrupted: &dyn Fn(Waits, Cause)) -> Result<(), Exception> {
        assert!(self.lock.locked(), "RuntimeError: cannot wait on un-acquired lock");
        let fut = self.futures.create_future();
        self.lock.release();
        self.waiters.borrow_mut().push_back(fut.clone());
        let result = wait_future(&fut).await;
        remove(&self.waiters, &fut);
        if let Err(cancelled) = &result {
            interrupted(Waits::ForNotification, cancelled.cause());
        }
        let mut err = None;
        while let Err(cancelled) = self.lock.acquire().await {
            interrupted(Waits::ForLock, cancelled.cause());
            err = Some(cancelled);
        }
        // `raise err` in the `finally` replaces what went through it.
        let result = err.map_or(result, Err);
        if result.is_err() {
            self.notify_some(1);
        }
        result.map(drop)
    }

    pub(super) async fn wait_for(
        &self,
        predicate: impl Fn() -> bool,
        interrupted: &dyn Fn(Waits, Cause),
    ) -> Result<(), Exception> {
        while !predicate() {
            self.wait(interrupted).await?;
        }
        Ok(())
    }

    pub(super) fn notify(&self, n: usize) {
        assert!(self.lock.locked(), "RuntimeError: cannot notify on un-acquired lock");
        self.notify_some(n);
    }

    /// `_notify(n)`
    fn notify_some(&self, n: usize) {
        for fut in self.waiters.borrow().iter().filter(|fut| !fut.done()).take(n) {
            fut.set_result(Ok(Value::None));
        }
    }

    pub(super) fn notify_all(&self) {
        let n = self.waiters.borrow().len();
        self.notify(n);
    }
}

pub(super) struct Semaphore {
    futures: Futures,
    waiters: Waiters,
    value: Cell<usize>,
    /// `_bound_value`, of a `BoundedSemaphore`.
    bound: Option<usize>,
}

/// `ValueError`
pub(super) struct ReleasedTooOften;

impl Semaphore {
    pub(super) fn new(futures: &Futures, value: usize) -> Semaphore {
        let (waiters, value) = (Waiters::default(), Cell::new(value));
        Semaphore { futures: futures.clone(), waiters, value, bound: None }
    }

    pub(super) fn bounded(futures: &Futures, value: usize) -> Semaphore {
        Semaphore { bound: Some(value), ..Semaphore::new(futures, value) }
    }

    pub(super) fn locked(&self) -> bool {
        self.value.get() == 0 || self.waiters.borrow().iter().any(|w| !w.cancelled())
    }

    pub(super) async fn acquire(&self) -> Result<(), Exception> {
        if !self.locked() {
            self.value.set(self.value.get() - 1);
            return Ok(());
        }
        let fut = self.futures.create_future();
        self.waiters.borrow_mut().push_back(fut.clone());
        let result = wait_future(&fut).await;
        remove(&self.waiters, &fut);
        if result.is_err() && fut.done() && !fut.cancelled() {
            self.value.set(self.value.get() + 1);
        }
        while self.value.get() > 0 {
            if !self.wake_up_next() {
                break;
            }
        }
        result.map(drop)
    }

    pub(super) fn release(&self) -> Result<(), ReleasedTooOften> {
        if self.bound.is_some_and(|bound| self.value.get() >= bound) {
            return Err(ReleasedTooOften);
        }
        self.value.set(self.value.get() + 1);
        self.wake_up_next();
        Ok(())
    }

    fn wake_up_next(&self) -> bool {
        let next = self.waiters.borrow().iter().find(|fut| !fut.done()).cloned();
        let Some(fut) = next else { return false };
        self.value.set(self.value.get() - 1);
        fut.set_result(Ok(Value::None));
        true
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum BarrierState {
    Filling,
    Draining,
    Resetting,
    Broken,
}

pub(super) struct Barrier {
    cond: Condition,
    parties: usize,
    state: Cell<BarrierState>,
    count: Cell<usize>,
}

impl Barrier {
    pub(super) fn new(futures: &Futures, parties: usize) -> Barrier {
        Barrier {
            cond: Condition::new(futures, Rc::new(Lock::new(futures))),
            parties,
            state: Cell::new(BarrierState::Filling),
            count: Cell::new(0),
        }
    }

    /// `wait()`: the index.
    pub(super) async fn wait(&self) -> Result<usize, Exception> {
        self.cond.lock.acquire().await?;
        let result = self.wait_locked().await;
        self.cond.lock.release();
        result
    }

    /// The body of `async with self._cond`.
    async fn wait_locked(&self) -> Result<usize, Exception> {
        self.block().await?;
        let index = self.count.get();
        self.count.set(index + 1);
        let result = if index + 1 == self.parties {
            self.release();
            Ok(())
        } else {
            self.wait_filled().await
        };
        self.count.set(self.count.get() - 1);
        self.exit();
        result.map(|()| index)
    }

    /// `_block()`
    async fn block(&self) -> Result<(), Exception> {
        let ready = || !matches!(self.state.get(), BarrierState::Draining | BarrierState::Resetting);
        self.cond.wait_for(ready, &|_, _| {}).await?;
        match self.state.get() {
            BarrierState::Broken => Err(Exception::Error(Error::BrokenBarrier)),
            _ => Ok(()),
        }
    }

    /// `_release()`
    fn release(&self) {
        self.state.set(BarrierState::Draining);
        self.cond.notify_all();
    }

    /// `_wait()`
    async fn wait_filled(&self) -> Result<(), Exception> {
        self.cond.wait_for(|| self.state.get() != BarrierState::Filling, &|_, _| {}).await?;
        match self.state.get() {
            BarrierState::Broken | BarrierState::Resetting => Err(Exception::Error(Error::BrokenBarrier)),
            _ => Ok(()),
        }
    }

    /// `_exit()`
    fn exit(&self) {
        if self.count.get() == 0 {
            if matches!(self.state.get(), BarrierState::Resetting | BarrierState::Draining) {
                self.state.set(BarrierState::Filling);
            }
            self.cond.notify_all();
        }
    }

    pub(super) async fn reset(&self) -> Result<(), Exception> {
        self.cond.lock.acquire().await?;
        let state = if self.count.get() > 0 { BarrierState::Resetting } else { BarrierState::Filling };
        self.state.set(state);
        self.cond.notify_all();
        self.cond.lock.release();
        Ok(())
    }

    pub(super) async fn abort(&self) -> Result<(), Exception> {
        self.cond.lock.acquire().await?;
        self.state.set(BarrierState::Broken);
        self.cond.notify_all();
        self.cond.lock.release();
        Ok(())
    }

    pub(super) fn parties(&self) -> usize {
        self.parties
    }

    pub(super) fn n_waiting(&self) -> usize {
        if self.state.get() == BarrierState::Filling { self.count.get() } else { 0 }
    }

    pub(super) fn broken(&self) -> bool {
        self.state.get() == BarrierState::Broken
    }
}
