//! `taskgroups.py`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::event_loop::{Coroutine, Loop};
use super::exception::{Cause, Exception, Message, Value};
use super::future::{Future, wait_future};
use super::interpreter::Messages;
use crate::outcome::{ERROR_WENT_TO_GROUP, Error};

pub(crate) struct TaskGroup {
    event_loop: Rc<Loop>,
    messages: Messages,
    exiting: Cell<bool>,
    aborting: Cell<bool>,
    parent_task: Rc<Future>,
    parent_cancel_requested: Cell<bool>,
    /// In order of creation; a set in CPython, which gives no order.
    tasks: RefCell<Vec<Rc<Future>>>,
    errors: RefCell<Vec<Exception>>,
    on_completed_fut: RefCell<Option<Rc<Future>>>,
    /// DIFFERS: tasks whose error went to the group. For others they are cancelled.
    failed: RefCell<Vec<(Rc<Future>, Exception)>>,
}

impl TaskGroup {
    /// `TaskGroup()`, and `__aenter__`.
    pub(crate) fn enter(event_loop: &Rc<Loop>, messages: Messages) -> Rc<TaskGroup> {
        Rc::new(TaskGroup {
            event_loop: event_loop.clone(),
            messages,
            exiting: Cell::new(false),
            aborting: Cell::new(false),
            parent_task: event_loop.current_task(),
            parent_cancel_requested: Cell::new(false),
            tasks: RefCell::default(),
            errors: RefCell::default(),
            on_completed_fut: RefCell::default(),
            failed: RefCell::default(),
        })
    }

    /// `__aexit__`. Tells `interrupted` of cancellations that arrive while it waits for the children.
    pub(crate) async fn exit(
        &self,
        body: Result<(), Exception>,
        interrupted: impl Fn(Cause),
    ) -> Result<(), Exception> {
        self.exiting.set(true);
        let exc = body.err();
        let mut propagate_cancellation_error =
            exc.clone().filter(|exc| matches!(exc, Exception::Cancelled(_)));
        if let Some(exc) = &exc
            && !self.aborting.get()
        {
            self.abort(exc.cause());
        }
        while !self.tasks.borrow().is_empty() {
            if self.on_completed_fut.borrow().is_none() {
                *self.on_completed_fut.borrow_mut() = Some(Future::new(&self.event_loop, self.messages));
            }
            let fut = self.on_completed_fut.borrow().clone().expect("just made");
            if let Err(ex) = wait_future(&fut).await {
                interrupted(ex.cause());
                if !self.aborting.get() {
                    let cause = ex.cause();
                    propagate_cancellation_error = Some(ex);
                    self.abort(cause);
                }
            }
            self.on_completed_fut.take();
        }
        if self.parent_cancel_requested.get() && self.parent_task.uncancel() == 0 {
            propagate_cancellation_error = None;
        }
        if let Some(error) = propagate_cancellation_error
            && self.errors.borrow().is_empty()
        {
            return Err(error);
        }
        if let Some(exc) = exc
            && !matches!(exc, Exception::Cancelled(_))
        {
            self.errors.borrow_mut().push(exc);
        }
        let errors = self.errors.take();
        if errors.is_empty() {
            return Ok(());
        }
        if self.parent_task.cancelling() > 0 {
            self.parent_task.uncancel();
            self.parent_task.cancel(Message::none(errors[0].cause()));
        }
        Err(group_of(errors))
    }

    /// `create_task(coro)`; `None` where Python raises RuntimeError.
    pub(crate) fn create_task(self: &Rc<Self>, coro: Coroutine) -> Option<Rc<Future>> {
        if self.exiting.get() && self.tasks.borrow().is_empty() || self.aborting.get() {
            return None;
        }
        let task = Future::task(&self.event_loop, self.messages, self.clone().child(coro));
        self.tasks.borrow_mut().push(task.clone());
        let this = self.clone();
        task.add_done_callback(move |task| this.on_task_done(task));
        Some(task)
    }

    /// DIFFERS: in kumihimo a task's error goes to the group, and whoever awaits the task is cancelled.
    fn child(self: Rc<Self>, coro: Coroutine) -> Coroutine {
        Box::pin(async move {
            let result = coro.await;
            if let Err(exc @ Exception::Error(_)) = result {
                let text = Some(ERROR_WENT_TO_GROUP.into());
                let cause = exc.cause();
                self.failed.borrow_mut().push((self.event_loop.current_task(), exc));
                return Err(Exception::Cancelled(Message { text, cause }));
            }
            result
        })
    }

    /// `task.exception()`, or what the task failed with for the group.
    fn exception_of(&self, task: &Rc<Future>) -> Option<Exception> {
        let failed = self.failed.borrow();
        let failed = failed.iter().find(|(other, _)| Rc::ptr_eq(other, task));
        match failed {
            Some((_, exc)) => Some(exc.clone()),
            None if task.cancelled() => None,
            None => task.exception(),
        }
    }

    fn abort(&self, cause: Cause) {
        self.aborting.set(true);
        let tasks = self.tasks.borrow().clone();
        for task in tasks {
            if !task.done() {
                task.cancel(Message::none(cause));
            }
        }
    }

    fn on_task_done(&self, task: &Rc<Future>) {
        self.tasks.borrow_mut().retain(|other| !Rc::ptr_eq(other, task));
        if let Some(fut) = self.on_completed_fut.borrow().as_ref()
            && self.tasks.borrow().is_empty()
            && !fut.done()
        {
            fut.set_result(Ok(Value::None));
        }
        let Some(exc) = self.exception_of(task) else { return };
        let cause = exc.cause();
        self.errors.borrow_mut().push(exc);
        if self.parent_task.done() {
            return;
        }
        if !self.aborting.get() && !self.parent_cancel_requested.get() {
            self.abort(cause);
            self.parent_cancel_requested.set(true);
            self.parent_task.cancel(Message::none(cause));
        }
    }
}

/// `BaseExceptionGroup(errors)`; a group with a panic raises its first panic instead, as the programs' own wrapper does.
fn group_of(errors: Vec<Exception>) -> Exception {
    let mut members: Vec<Error> = Vec::new();
    for exc in errors {
        match exc {
            Exception::Error(error) => members.push(error),
            panic => return panic,
        }
    }
    Exception::Error(Error::Group(members))
}
