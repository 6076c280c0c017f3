//! `BaseEventLoop`: the ready queue, timers, passes, and the coroutine protocol.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::exception::{Exception, Outcome};
use super::future::Future;
use crate::program::Micros;

pub(crate) type Coroutine = Pin<Box<dyn std::future::Future<Output = Outcome>>>;

/// Deadlines that are not further apart than this have no order that could be relied on.
const RESOLUTION: Micros = 1;

/// A callback in a queue; empty once it ran or was cancelled.
pub(crate) struct Handle(RefCell<Option<Box<dyn FnOnce()>>>);

impl Handle {
    pub(crate) fn cancel(&self) {
        self.0.take();
    }

    fn is_cancelled(&self) -> bool {
        self.0.borrow().is_none()
    }

    fn run(&self) {
        let callback = self.0.take();
        if let Some(callback) = callback {
            callback();
        }
    }
}

/// What a coroutine gave to its task.
pub(crate) enum Yield {
    /// `yield self` in `Future.__await__`.
    Future(Rc<Future>),
    /// The bare `yield` of `sleep(0)`.
    Bare,
}

pub(crate) struct Loop {
    ready: RefCell<VecDeque<Rc<Handle>>>,
    /// In order of deadline. The second number keeps keys apart; two equal deadlines make a program ambiguous.
    scheduled: RefCell<BTreeMap<(Micros, u64), Rc<Handle>>>,
    timers: Cell<u64>,
    now: Cell<Micros>,
    passes: Cell<u64>,
    /// Two timers were too close to each other for their order to be defined.
    ambiguous: Cell<bool>,
    current_task: RefCell<Option<Rc<Future>>>,
    /// From a coroutine that suspends, to its task.
    yielded: RefCell<Option<Yield>>,
    /// From the task, to the coroutine that is resumed: `None` is `send`, `Some` is `throw`.
    thrown: RefCell<Option<Exception>>,
}

impl Loop {
    pub(crate) fn new() -> Rc<Loop> {
        Rc::new(Loop {
            ready: RefCell::default(),
            scheduled: RefCell::default(),
            timers: Cell::new(0),
            now: Cell::new(0),
            passes: Cell::new(0),
            ambiguous: Cell::new(false),
            current_task: RefCell::default(),
            yielded: RefCell::default(),
            thrown: RefCell::default(),
        })
    }

    pub(crate) fn time(&self) -> Micros {
        self.now.get()
    }

    pub(crate) fn passes(&self) -> u64 {
        self.passes.get()
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        self.ambiguous.get()
    }

    pub(crate) fn current_task(&self) -> Rc<Future> {
        self.current_task.borrow().clone().expect("inside of a task")
    }

    pub(crate) fn set_current_task(&self, task: Option<Rc<Future>>) {
        *self.current_task.borrow_mut() = task;
    }

    pub(crate) fn call_soon(&self, callback: impl FnOnce() + 'static) -> Rc<Handle> {
        let handle = Rc::new(Handle(RefCell::new(Some(Box::new(callback)))));
        self.ready.borrow_mut().push_back(handle.clone());
        handle
    }

    pub(crate) fn call_at(&self, when: Micros, callback: impl FnOnce() + 'static) -> Rc<Handle> {
        let mut scheduled = self.scheduled.borrow_mut();
        let near = (when.saturating_sub(RESOLUTION), 0)..=(when + RESOLUTION, u64::MAX);
        if scheduled.range(near).any(|(_, handle)| !handle.is_cancelled()) {
            self.ambiguous.set(true);
        }
        let handle = Rc::new(Handle(RefCell::new(Some(Box::new(callback)))));
        self.timers.set(self.timers.get() + 1);
        scheduled.insert((when, self.timers.get()), handle.clone());
        handle
    }

    pub(crate) fn call_later(&self, delay: Micros, callback: impl FnOnce() + 'static) -> Rc<Handle> {
        self.call_at(self.time() + delay, callback)
    }

    /// Runs until nothing is left to do.
    pub(crate) fn run(&self) {
        while self.run_once() {}
    }

    /// One pass: what was ready at its start, and the timers that are due, in order of deadline.
    fn run_once(&self) -> bool {
        self.scheduled.borrow_mut().retain(|_, handle| !handle.is_cancelled());
        if self.ready.borrow().is_empty() {
            // select() on the virtual clock.
            let Some(&(when, _)) = self.scheduled.borrow().keys().next() else { return false };
            self.now.set(self.now.get().max(when));
        }
        while let Some(entry) = self.scheduled.borrow_mut().first_entry() {
            if entry.key().0 > self.now.get() {
                break;
            }
            self.ready.borrow_mut().push_back(entry.remove());
        }
        self.passes.set(self.passes.get() + 1);
        let ntodo = self.ready.borrow().len();
        for _ in 0..ntodo {
            let handle = self.ready.borrow_mut().pop_front().expect("counted");
            handle.run();
        }
        true
    }

    /// `coro.send(None)` or `coro.throw(exception)`.
    pub(crate) fn resume(
        &self,
        coroutine: &mut Coroutine,
        thrown: Option<Exception>,
    ) -> Result<Outcome, Yield> {
        *self.thrown.borrow_mut() = thrown;
        match coroutine.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(outcome) => Ok(outcome),
            Poll::Pending => Err(self.yielded.take().expect("a coroutine suspends by yielding")),
        }
    }

    /// `yield`, in a coroutine.
    pub(crate) async fn suspend(&self, what: Yield) -> Result<(), Exception> {
        *self.yielded.borrow_mut() = Some(what);
        let mut suspended = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut suspended, true) {
                Poll::Ready(self.thrown.take().map_or(Ok(()), Err))
            } else {
                Poll::Pending
            }
        })
        .await
    }
}
