//! `Shielded<T>`: awaiting a task without taking it along.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use kumihimo_context::{self as context, Forward, Leaf, WaitKind};

use super::failure::TaskError;
use super::handle::TaskHandle;
use super::join;
use super::observation::Observation;
use super::owned::Task;
use super::state::Ended;
use super::waiters::Observer;
use crate::scheduler;
use crate::sync::Mutex;

/// A task whose awaiter can be cancelled alone; see [`Task::shielded`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Shielded<T> {
    task: Task<T>,
    /// On one thread, once it has been awaited: asyncio's outer future.
    outer: Option<Outer>,
    leaf: Leaf,
}

/// On one thread the end of the task is told by a callback, and the awaiter goes on one pass after that. An awaiter that left
/// in between is not woken.
struct Outer {
    told: Arc<Told>,
    _observation: Observation,
}

/// Whether the callback has run; until then, who is to be woken.
struct Told(Mutex<Result<(), Waker>>);

impl Observer for Told {
    fn ended(&self, _index: usize, _with_value: bool) {
        let told = std::mem::replace(&mut *self.0.lock(), Ok(()));
        if let Err(waker) = told {
            waker.wake();
        }
    }
}

impl Outer {
    fn new(task: &TaskHandle, cx: &Context<'_>) -> Outer {
        let told = Arc::new(Told(Mutex::new(Err(cx.waker().clone()))));
        Outer { _observation: task.observe(told.clone(), 0), told }
    }

    /// Whether the callback has run.
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        match &*self.told.0.lock() {
            Ok(()) => return Poll::Ready(()),
            Err(waker) if waker.will_wake(cx.waker()) => return Poll::Pending,
            Err(_) => {}
        }
        // Wakers may be anybody's: they are cloned and dropped outside of the lock.
        let new = cx.waker().clone();
        let mut told = self.told.0.lock();
        let Err(waker) = &mut *told else { return Poll::Ready(()) };
        let old = std::mem::replace(waker, new);
        drop(told);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        // Nobody waits any more, so nobody is to be woken.
        let told = std::mem::replace(&mut *self.told.0.lock(), Ok(()));
        drop(told);
    }
}

impl<T> Shielded<T> {
    pub(crate) fn new(task: Task<T>) -> Shielded<T> {
        Shielded { task, outer: None, leaf: Leaf::new() }
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.outer.is_some() || scheduler::links_here() {
            true => self.poll_outer(cx),
            false => self.task.poll_end_alone(cx),
        }
    }

    /// Waits for the end, and gives it as a value: a cancellation of the awaiter is the awaiter's own.
    pub fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, TaskError>> {
        ready!(self.poll_ended(cx));
        Poll::Ready(self.task.try_take().expect("it has ended"))
    }

    /// Whether the awaiter is to go on.
    fn is_told(&self) -> bool {
        self.outer.as_ref().is_some_and(|outer| outer.told.0.lock().is_ok())
    }

    /// Waits for the callback, where the end is told by one.
    fn poll_outer(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        ready!(self.leaf.enter(cx));
        join::panic_if_self(self.task.task());
        if self.outer.is_none() {
            if let Some(ended) = self.task.task().header().state.ended() {
                return Poll::Ready(ended);
            }
            self.outer = Some(Outer::new(&self.task, cx));
        }
        let told = self.outer.as_ref().map_or(Poll::Pending, |outer| outer.poll(cx));
        if told.is_pending() {
            self.leaf.wait(WaitKind::Other);
            return Poll::Pending;
        }
        Poll::Ready(self.task.task().header().state.ended().expect("its end was told"))
    }
}

impl<T> Future for Shielded<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        if context::delivering() && this.is_told() && this.task.cancelled() {
            Forward::absorb();
        }
        match ready!(this.poll_ended(cx)) {
            Ended::Value => Poll::Ready(this.task.take()),
            _ => this.task.raise(cx),
        }
    }
}

impl<T> Unpin for Shielded<T> {}

impl<T> Deref for Shielded<T> {
    type Target = TaskHandle;

    fn deref(&self) -> &TaskHandle {
        &self.task
    }
}

impl<T> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shielded").field(&self.task).finish()
    }
}
