//! `timeouts.py`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::event_loop::{Handle, Loop};
use super::exception::{Cause, Exception, Message};
use super::future::Future;
use crate::outcome::Error;
use crate::program::Micros;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Entered,
    Expiring,
    Expired,
    Exited,
}

pub(crate) struct Timeout {
    state: Cell<State>,
    timeout_handler: RefCell<Option<Rc<Handle>>>,
    task: Rc<Future>,
    /// `task.cancelling()` at entry.
    cancelling: usize,
}

impl Timeout {
    /// `timeout_at(when)`, and `__aenter__`.
    pub(crate) fn enter(event_loop: &Rc<Loop>, when: Option<Micros>) -> Rc<Timeout> {
        let task = event_loop.current_task();
        let timeout = Rc::new(Timeout {
            state: Cell::new(State::Entered),
            timeout_handler: RefCell::default(),
            cancelling: task.cancelling(),
            task,
        });
        timeout.reschedule(when);
        timeout
    }

    pub(crate) fn reschedule(self: &Rc<Self>, when: Option<Micros>) {
        assert_eq!(self.state.get(), State::Entered, "RuntimeError: cannot change state");
        if let Some(handler) = self.timeout_handler.take() {
            handler.cancel();
        }
        let event_loop = self.task.event_loop();
        *self.timeout_handler.borrow_mut() = when.map(|when| {
            let this = self.clone();
            if when <= event_loop.time() {
                event_loop.call_soon(move || this.on_timeout())
            } else {
                event_loop.call_at(when, move || this.on_timeout())
            }
        });
    }

    pub(crate) fn expired(&self) -> bool {
        matches!(self.state.get(), State::Expiring | State::Expired)
    }

    /// `__aexit__`
    pub(crate) fn exit<T>(&self, result: Result<T, Exception>) -> Result<T, Exception> {
        if let Some(handler) = self.timeout_handler.take() {
            handler.cancel();
        }
        match self.state.get() {
            State::Expiring => {
                self.state.set(State::Expired);
                if self.task.uncancel() <= self.cancelling && matches!(result, Err(Exception::Cancelled(_))) {
                    return Err(Exception::Error(Error::Timeout));
                }
            }
            State::Entered => self.state.set(State::Exited),
            State::Expired | State::Exited => panic!("left twice"),
        }
        result
    }

    fn on_timeout(&self) {
        assert_eq!(self.state.get(), State::Entered);
        self.task.cancel(Message::none(Cause::Timeout));
        self.state.set(State::Expiring);
        self.timeout_handler.take();
    }
}
