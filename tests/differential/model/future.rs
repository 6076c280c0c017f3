//! `Future`, and what overrides its methods: `Task` and `_GatheringFuture`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::event_loop::{Coroutine, Loop, Yield};
use super::exception::{Exception, Message, Outcome, Value};
use super::interpreter::Messages;

type Callback = Rc<dyn Fn(&Rc<Future>)>;

/// Identifies a callback, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallbackId(usize);

enum State {
    Pending,
    Cancelled,
    Finished(Outcome),
}

pub(crate) struct Future {
    event_loop: Rc<Loop>,
    messages: Messages,
    state: RefCell<State>,
    callbacks: RefCell<Vec<(CallbackId, Callback)>>,
    next_callback: Cell<usize>,
    /// `_cancel_message`
    cancel_message: RefCell<Option<Message>>,
    /// `_cancelled_exc`
    cancelled_exc: RefCell<Option<Exception>>,
    kind: Kind,
}

enum Kind {
    Plain,
    Task(Task),
    Gathering(Gathering),
}

/// The fields that `Task` adds.
struct Task {
    coro: RefCell<Option<Coroutine>>,
    started: Cell<bool>,
    must_cancel: Cell<bool>,
    fut_waiter: RefCell<Option<Rc<Future>>>,
    num_cancels_requested: Cell<usize>,
}

/// The fields that `_GatheringFuture` adds.
struct Gathering {
    children: Vec<Rc<Future>>,
    /// `_cancel_requested`, and by which message.
    requested: RefCell<Option<Message>>,
}

impl Future {
    fn make(event_loop: &Rc<Loop>, messages: Messages, kind: Kind) -> Rc<Future> {
        Rc::new(Future {
            event_loop: event_loop.clone(),
            messages,
            state: RefCell::new(State::Pending),
            callbacks: RefCell::default(),
            next_callback: Cell::new(0),
            cancel_message: RefCell::default(),
            cancelled_exc: RefCell::default(),
            kind,
        })
    }

    /// `loop.create_future()`
    pub(crate) fn new(event_loop: &Rc<Loop>, messages: Messages) -> Rc<Future> {
        Future::make(event_loop, messages, Kind::Plain)
    }

    pub(crate) fn gathering(
        event_loop: &Rc<Loop>,
        messages: Messages,
        children: Vec<Rc<Future>>,
    ) -> Rc<Future> {
        let kind = Kind::Gathering(Gathering { children, requested: RefCell::default() });
        Future::make(event_loop, messages, kind)
    }

    /// `loop.create_task(coro)`
    pub(crate) fn task(event_loop: &Rc<Loop>, messages: Messages, coro: Coroutine) -> Rc<Future> {
        let task = Future::make(
            event_loop,
            messages,
            Kind::Task(Task {
                coro: RefCell::new(Some(coro)),
                started: Cell::new(false),
                must_cancel: Cell::new(false),
                fut_waiter: RefCell::default(),
                num_cancels_requested: Cell::new(0),
            }),
        );
        let first = task.clone();
        event_loop.call_soon(move || first.step(None));
        task
    }

    pub(crate) fn event_loop(&self) -> &Rc<Loop> {
        &self.event_loop
    }

    pub(crate) fn messages(&self) -> Messages {
        self.messages
    }

    pub(crate) fn done(&self) -> bool {
        !matches!(*self.state.borrow(), State::Pending)
    }

    pub(crate) fn cancelled(&self) -> bool {
        matches!(*self.state.borrow(), State::Cancelled)
    }

    /// `result()`: raises what `exception()` returns.
    pub(crate) fn result(&self) -> Outcome {
        match &*self.state.borrow() {
            State::Pending => panic!("InvalidStateError: result is not ready"),
            State::Finished(outcome) => outcome.clone(),
            State::Cancelled => Err(self.make_cancelled_error()),
        }
    }

    /// `exception()`, of a future that was not cancelled.
    pub(crate) fn exception(&self) -> Option<Exception> {
        match &*self.state.borrow() {
            State::Finished(outcome) => outcome.as_ref().err().cloned(),
            _ => panic!("exception() of a future that is pending or cancelled"),
        }
    }

    /// `_make_cancelled_error()`. CPython keeps the message for the first who asks only (CAN-32).
    pub(crate) fn make_cancelled_error(&self) -> Exception {
        let kept = match self.messages {
            Messages::Kept => self.cancelled_exc.borrow().clone(),
            Messages::LostOnceSeen => self.cancelled_exc.take(),
        };
        kept.unwrap_or_else(|| {
            Exception::Cancelled(self.cancel_message.borrow().clone().expect("it was cancelled"))
        })
    }

    /// What a gather that was asked to cancel raises at the end of all: `fut._make_cancelled_error()` of its last child,
    /// which need not have been cancelled, so CPython's message is an accident. Where messages are kept it is the request's.
    pub(crate) fn requested_error(&self, last: &Future) -> Exception {
        let Kind::Gathering(gathering) = &self.kind else { panic!("not a gather") };
        let requested = gathering.requested.borrow().clone().expect("it was asked to cancel");
        if self.messages == Messages::Kept {
            return Exception::Cancelled(requested);
        }
        if last.cancelled() {
            return last.make_cancelled_error();
        }
        let message = last.cancel_message.borrow().clone();
        Exception::Cancelled(message.unwrap_or(Message::none(requested.cause)))
    }

    /// `CancelledError('' if fut._cancel_message is None else fut._cancel_message)`
    pub(crate) fn gathered_error(&self) -> Exception {
        Exception::Cancelled(self.cancel_message.borrow().clone().expect("it was cancelled"))
    }

    /// With what a shield around this future, which was cancelled, is cancelled. CPython says `outer.cancel()`, without a
    /// message.
    pub(crate) fn shielded_message(&self) -> Message {
        if self.messages == Messages::Kept
            && let Exception::Cancelled(message) = self.make_cancelled_error()
        {
            return message;
        }
        let message = self.cancel_message.borrow();
        Message::none(message.as_ref().expect("it was cancelled").cause)
    }

    pub(crate) fn add_done_callback(self: &Rc<Self>, callback: impl Fn(&Rc<Future>) + 'static) -> CallbackId {
        let id = CallbackId(self.next_callback.get());
        self.next_callback.set(id.0 + 1);
        if self.done() {
            let this = self.clone();
            self.event_loop.call_soon(move || callback(&this));
        } else {
            self.callbacks.borrow_mut().push((id, Rc::new(callback)));
        }
        id
    }

    pub(crate) fn remove_done_callback(&self, id: CallbackId) {
        self.callbacks.borrow_mut().retain(|(other, _)| *other != id);
    }

    fn schedule_callbacks(self: &Rc<Self>) {
        for (_, callback) in self.callbacks.take() {
            let this = self.clone();
            self.event_loop.call_soon(move || callback(&this));
        }
    }

    pub(crate) fn set_result(self: &Rc<Self>, outcome: Outcome) {
        assert!(!self.done(), "InvalidStateError: set twice");
        *self.state.borrow_mut() = State::Finished(outcome);
        self.schedule_callbacks();
    }

    /// `Future.cancel(self, msg)`
    pub(crate) fn cancel_future(self: &Rc<Self>, message: Message) -> bool {
        if self.done() {
            return false;
        }
        *self.state.borrow_mut() = State::Cancelled;
        *self.cancel_message.borrow_mut() = Some(message);
        self.schedule_callbacks();
        true
    }

    /// `self.cancel(msg)`
    pub(crate) fn cancel(self: &Rc<Self>, message: Message) -> bool {
        match &self.kind {
            Kind::Plain => self.cancel_future(message),
            Kind::Task(task) => self.cancel_task(task, message),
            Kind::Gathering(gathering) => self.cancel_gathering(gathering, message),
        }
    }

    fn cancel_task(&self, task: &Task, message: Message) -> bool {
        if self.done() {
            return false;
        }
        task.num_cancels_requested.set(task.num_cancels_requested.get() + 1);
        let fut_waiter = task.fut_waiter.borrow().clone();
        if let Some(fut_waiter) = fut_waiter
            && fut_waiter.cancel(message.clone())
        {
            return true;
        }
        task.must_cancel.set(true);
        *self.cancel_message.borrow_mut() = Some(message);
        true
    }

    fn cancel_gathering(&self, gathering: &Gathering, message: Message) -> bool {
        if self.done() {
            return false;
        }
        let mut ret = false;
        for child in &gathering.children {
            if child.cancel(message.clone()) {
                ret = true;
            }
        }
        if ret {
            *gathering.requested.borrow_mut() = Some(message);
        }
        ret
    }

    /// `_cancel_requested` of a `_GatheringFuture`.
    pub(crate) fn cancel_requested(&self) -> bool {
        matches!(&self.kind, Kind::Gathering(gathering) if gathering.requested.borrow().is_some())
    }

    fn as_task(&self) -> &Task {
        match &self.kind {
            Kind::Task(task) => task,
            _ => panic!("not a task"),
        }
    }

    pub(crate) fn cancelling(&self) -> usize {
        self.as_task().num_cancels_requested.get()
    }

    /// Whether a request is recorded that was not delivered.
    pub(crate) fn must_cancel(&self) -> bool {
        self.as_task().must_cancel.get()
    }

    pub(crate) fn uncancel(&self) -> usize {
        let task = self.as_task();
        let requested = &task.num_cancels_requested;
        if requested.get() > 0 {
            requested.set(requested.get() - 1);
            if requested.get() == 0 {
                task.must_cancel.set(false);
            }
        }
        requested.get()
    }

    /// `Task.__step`
    fn step(self: &Rc<Self>, mut exc: Option<Exception>) {
        let task = self.as_task();
        assert!(!self.done(), "InvalidStateError: step of a task that is done");
        if task.must_cancel.get() {
            if !matches!(exc, Some(Exception::Cancelled(_))) {
                exc = Some(self.make_cancelled_error());
            }
            task.must_cancel.set(false);
        }
        task.fut_waiter.take();
        self.event_loop.set_current_task(Some(self.clone()));
        self.step_run_and_handle_result(task, exc);
        self.event_loop.set_current_task(None);
    }

    /// `Task.__step_run_and_handle_result`
    fn step_run_and_handle_result(self: &Rc<Self>, task: &Task, exc: Option<Exception>) {
        let mut coro = task.coro.take().expect("it has not ended");
        let result = match exc {
            // Thrown into a coroutine that has not begun: none of its body runs.
            Some(exc) if !task.started.get() => Ok(Err(exc)),
            exc => {
                task.started.set(true);
                self.event_loop.resume(&mut coro, exc)
            }
        };
        let yielded = match result {
            Ok(Ok(value)) => {
                if task.must_cancel.get() {
                    task.must_cancel.set(false);
                    let message = self.cancel_message.borrow().clone().expect("it must cancel");
                    self.cancel_future(message);
                } else {
                    self.set_result(Ok(value));
                }
                return;
            }
            Ok(Err(Exception::Cancelled(message))) => {
                let cause = message.cause;
                *self.cancelled_exc.borrow_mut() = Some(Exception::Cancelled(message));
                self.cancel_future(Message::none(cause));
                return;
            }
            Ok(Err(exception)) => {
                self.set_result(Err(exception));
                return;
            }
            Err(yielded) => yielded,
        };
        *task.coro.borrow_mut() = Some(coro);
        let this = self.clone();
        match yielded {
            Yield::Future(future) => {
                future.add_done_callback(move |future| this.wakeup(future));
                *task.fut_waiter.borrow_mut() = Some(future.clone());
                if task.must_cancel.get() {
                    let message = self.cancel_message.borrow().clone().expect("it must cancel");
                    if future.cancel(message) {
                        task.must_cancel.set(false);
                    }
                }
            }
            Yield::Bare => {
                self.event_loop.call_soon(move || this.step(None));
            }
        }
    }

    /// `Task.__wakeup`
    fn wakeup(self: &Rc<Self>, future: &Rc<Future>) {
        self.step(future.result().err());
    }
}

/// `await future`
pub(crate) async fn wait_future(future: &Rc<Future>) -> Outcome {
    if !future.done() {
        future.event_loop.suspend(Yield::Future(future.clone())).await?;
    }
    future.result()
}

/// `sleep(delay)`
pub(crate) async fn sleep(event_loop: &Rc<Loop>, messages: Messages, delay: u64) -> Outcome {
    if delay == 0 {
        event_loop.suspend(Yield::Bare).await?;
        return Ok(Value::None);
    }
    let future = Future::new(event_loop, messages);
    let timer = {
        let future = future.clone();
        event_loop.call_later(delay, move || {
            // _set_result_unless_cancelled
            if !future.cancelled() {
                future.set_result(Ok(Value::None));
            }
        })
    };
    let result = wait_future(&future).await;
    timer.cancel();
    result
}
