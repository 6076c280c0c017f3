//! `tasks.py`: gather, shield, wait, wait_for, as_completed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::event_loop::{Coroutine, Handle};
use super::exception::{Cause, Exception, Message, Outcome, Value};
use super::future::{Future, wait_future};
use super::interpreter::Messages;
use super::timeout::Timeout;
use crate::outcome::Error;
use crate::program::{Micros, Until};

/// `gather(*children, return_exceptions=...)`; coroutines have become tasks already, in order.
pub(crate) fn gather(children: Vec<Rc<Future>>, return_exceptions: bool) -> Rc<Future> {
    let Some(first) = children.first() else { panic!("an empty gather needs a loop") };
    let (event_loop, messages) = (first.event_loop().clone(), first.messages());
    let mut unique: Vec<Rc<Future>> = Vec::new();
    for child in &children {
        if !unique.iter().any(|other| Rc::ptr_eq(other, child)) {
            unique.push(child.clone());
        }
    }
    let nfuts = unique.len();
    let nfinished = Rc::new(Cell::new(0));
    let outer = Future::gathering(&event_loop, messages, children.clone());
    let done_callback = {
        let outer = outer.clone();
        move |fut: &Rc<Future>| {
            nfinished.set(nfinished.get() + 1);
            if outer.done() {
                return;
            }
            if !return_exceptions {
                if fut.cancelled() {
                    outer.set_result(Err(fut.make_cancelled_error()));
                    return;
                }
                if let Some(exc) = fut.exception() {
                    outer.set_result(Err(exc));
                    return;
                }
            }
            if nfinished.get() == nfuts {
                let results = children.iter().map(gathered).collect();
                if outer.cancel_requested() {
                    // `fut` there is the loop's variable by then: the last in the list, not the last to end.
                    let fut = children.last().expect("there are some");
                    outer.set_result(Err(outer.requested_error(fut)));
                } else {
                    outer.set_result(Ok(Value::List(results)));
                }
            }
        }
    };
    // Callbacks of children that are done run once the outer future exists.
    let (done, pending): (Vec<_>, Vec<_>) = unique.into_iter().partition(|child| child.done());
    for child in pending {
        child.add_done_callback(done_callback.clone());
    }
    done.iter().for_each(done_callback);
    outer
}

/// A child's place in the list of results.
fn gathered(fut: &Rc<Future>) -> Outcome {
    if fut.cancelled() && fut.messages() == Messages::LostOnceSeen {
        return Err(fut.gathered_error());
    }
    fut.result()
}

/// `shield(inner)`
pub(crate) fn shield(inner: Rc<Future>) -> Rc<Future> {
    if inner.done() {
        return inner;
    }
    let outer = Future::new(inner.event_loop(), inner.messages());
    let inner_done_callback = {
        let outer = outer.clone();
        move |inner: &Rc<Future>| {
            if outer.cancelled() {
                return;
            }
            if inner.cancelled() {
                // CPython says `outer.cancel()`: the message is lost.
                outer.cancel_future(inner.shielded_message());
            } else {
                outer.set_result(inner.result());
            }
        }
    };
    let callback = inner.add_done_callback(inner_done_callback);
    outer.add_done_callback(move |_| {
        if !inner.done() {
            inner.remove_done_callback(callback);
        }
    });
    outer
}

/// `wait(fs, timeout=..., return_when=...)`: the done ones, and the others.
pub(crate) async fn wait(
    fs: &[Rc<Future>],
    timeout: Option<Micros>,
    return_when: Until,
) -> Result<(Vec<Rc<Future>>, Vec<Rc<Future>>), Exception> {
    let mut unique: Vec<Rc<Future>> = Vec::new();
    for f in fs {
        if !unique.iter().any(|other| Rc::ptr_eq(other, f)) {
            unique.push(f.clone());
        }
    }
    let fs = unique;
    let event_loop = fs[0].event_loop();
    let waiter = Future::new(event_loop, fs[0].messages());
    let timeout_handle: Option<Rc<Handle>> = timeout.map(|timeout| {
        let waiter = waiter.clone();
        event_loop.call_later(timeout, move || release_waiter(&waiter))
    });
    let counter = Rc::new(Cell::new(fs.len()));
    let on_completion = {
        let (waiter, timeout_handle) = (waiter.clone(), timeout_handle.clone());
        move |f: &Rc<Future>| {
            counter.set(counter.get() - 1);
            if counter.get() == 0
                || return_when == Until::FirstCompleted
                || return_when == Until::FirstException && !f.cancelled() && f.exception().is_some()
            {
                if let Some(handle) = &timeout_handle {
                    handle.cancel();
                }
                release_waiter(&waiter);
            }
        }
    };
    let callbacks: Vec<_> = fs.iter().map(|f| f.add_done_callback(on_completion.clone())).collect();
    let result = wait_future(&waiter).await;
    if let Some(handle) = &timeout_handle {
        handle.cancel();
    }
    for (f, callback) in fs.iter().zip(callbacks) {
        f.remove_done_callback(callback);
    }
    result?;
    Ok(fs.into_iter().partition(|f| f.done()))
}

/// `_release_waiter`
fn release_waiter(waiter: &Rc<Future>) {
    if !waiter.done() {
        waiter.set_result(Ok(Value::None));
    }
}

/// What `wait_for` is given.
pub(crate) enum Awaitable {
    Future(Rc<Future>),
    Coroutine(Coroutine),
}

/// `wait_for(fut, timeout)`, in the task `current`.
pub(crate) async fn wait_for(current: &Rc<Future>, fut: Awaitable, timeout: Micros) -> Outcome {
    let event_loop = current.event_loop();
    if timeout == 0 {
        let fut = match fut {
            Awaitable::Future(future) => future,
            Awaitable::Coroutine(coro) => Future::task(event_loop, current.messages(), coro),
        };
        if fut.done() {
            return fut.result();
        }
        cancel_and_wait(&fut).await?;
        return match fut.result() {
            Err(Exception::Cancelled(_)) => Err(Exception::Error(Error::Timeout)),
            result => result,
        };
    }
    let timeout = Timeout::enter(event_loop, Some(event_loop.time() + timeout));
    let result = match fut {
        Awaitable::Future(future) => wait_future(&future).await,
        Awaitable::Coroutine(coro) => coro.await,
    };
    timeout.exit(result)
}

/// `_cancel_and_wait(fut)`
async fn cancel_and_wait(fut: &Rc<Future>) -> Outcome {
    let waiter = Future::new(fut.event_loop(), fut.messages());
    let callback = {
        let waiter = waiter.clone();
        fut.add_done_callback(move |_| release_waiter(&waiter))
    };
    fut.cancel(Message::none(Cause::Timeout));
    let result = wait_future(&waiter).await;
    fut.remove_done_callback(callback);
    result
}

/// `_AsCompletedIterator`
pub(crate) struct AsCompleted {
    /// `_done`: a queue of futures; `None` where the time-out put a sentinel.
    done: Rc<RefCell<VecDeque<Option<Rc<Future>>>>>,
    /// `_done._getters`: the one consumer, while it waits.
    getter: Rc<RefCell<Option<Rc<Future>>>>,
    todo_left: usize,
    event_loop: Rc<super::event_loop::Loop>,
    messages: Messages,
}

impl AsCompleted {
    pub(crate) fn new(aws: &[Rc<Future>], timeout: Option<Micros>) -> AsCompleted {
        let mut unique: Vec<Rc<Future>> = Vec::new();
        for f in aws {
            if !unique.iter().any(|other| Rc::ptr_eq(other, f)) {
                unique.push(f.clone());
            }
        }
        let event_loop = unique[0].event_loop().clone();
        let this = AsCompleted {
            done: Rc::default(),
            getter: Rc::default(),
            todo_left: unique.len(),
            messages: unique[0].messages(),
            event_loop: event_loop.clone(),
        };
        let todo = Rc::new(RefCell::new(unique.clone()));
        let timeout_handle: Rc<RefCell<Option<Rc<Handle>>>> = Rc::default();
        let handle_completion = {
            let (put, todo, timeout_handle) = (this.put_nowait(), todo.clone(), timeout_handle.clone());
            move |f: &Rc<Future>| {
                if todo.borrow().is_empty() {
                    return;
                }
                todo.borrow_mut().retain(|other| !Rc::ptr_eq(other, f));
                put(Some(f.clone()));
                if todo.borrow().is_empty()
                    && let Some(handle) = timeout_handle.borrow().as_ref()
                {
                    handle.cancel();
                }
            }
        };
        let callbacks: Vec<_> =
            unique.iter().map(|f| (f.clone(), f.add_done_callback(handle_completion.clone()))).collect();
        if let Some(timeout) = timeout {
            let put = this.put_nowait();
            *timeout_handle.borrow_mut() = Some(event_loop.call_later(timeout, move || {
                for f in todo.take() {
                    if let Some((f, callback)) = callbacks.iter().find(|(other, _)| Rc::ptr_eq(other, &f)) {
                        f.remove_done_callback(*callback);
                    }
                    put(None);
                }
            }));
        }
        this
    }

    /// `_done.put_nowait`
    fn put_nowait(&self) -> impl Fn(Option<Rc<Future>>) + Clone + 'static {
        let (done, getter) = (self.done.clone(), self.getter.clone());
        move |item| {
            done.borrow_mut().push_back(item);
            if let Some(getter) = getter.take()
                && !getter.done()
            {
                getter.set_result(Ok(Value::None));
            }
        }
    }

    /// `__anext__`
    pub(crate) async fn next(&mut self) -> Option<Result<Rc<Future>, Exception>> {
        if self.todo_left == 0 {
            return None;
        }
        self.todo_left -= 1;
        Some(match self.get().await {
            Ok(Some(future)) => Ok(future),
            Ok(None) => Err(Exception::Error(Error::Timeout)),
            Err(exception) => Err(exception),
        })
    }

    /// `_done.get()`
    async fn get(&self) -> Result<Option<Rc<Future>>, Exception> {
        while self.done.borrow().is_empty() {
            let getter = Future::new(&self.event_loop, self.messages);
            *self.getter.borrow_mut() = Some(getter.clone());
            if let Err(exception) = wait_future(&getter).await {
                self.getter.take();
                return Err(exception);
            }
        }
        Ok(self.done.borrow_mut().pop_front().expect("it is not empty"))
    }
}
