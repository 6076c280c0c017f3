//! Which context is current.
//!
//! In this order:
//!
//! 1. that of the innermost [`run`] on this thread, if the same task runs now as when it was called: the task that a nested
//!    loop polls in there is no part of the call, and has its own;
//! 2. the running task's own, which is made when a variable is first set in it;
//! 3. outside of tasks, the thread's.

use std::cell::{Cell, OnceCell, RefCell};
use std::ptr::{self, NonNull};

use kumihimo_context::current_task;

use super::context::Context;
use crate::sync::local;
use crate::task::header::TaskRef;

local! {
    /// The innermost `run` in progress on this thread; null if there is none.
    static FRAME: Cell<*const Frame> = Cell::new(ptr::null())
}

local! {
    /// The thread's own context, where no task runs; made when a variable is first set in it.
    static AMBIENT: RefCell<Option<Context>> = RefCell::new(None)
}

/// A call of `run`, in whose stack frame this is.
struct Frame {
    /// Borrowed by the call; null if none was given to it.
    given: *const Context,
    /// Made when a variable is first set, if none was given.
    made: OnceCell<Context>,
    /// The task that made the call; null outside of tasks. Compared only: it runs until the call returns.
    task: *const (),
    /// The call around this one.
    outer: *const Frame,
}

impl Frame {
    fn context(&self) -> Option<&Context> {
        // SAFETY: `run` borrows the context until it has returned, which the frame does not outlive.
        unsafe { self.given.as_ref() }.or_else(|| self.made.get())
    }

    fn get_or_new(&self) -> &Context {
        self.context().unwrap_or_else(|| self.made.get_or_init(Context::new))
    }
}

/// The innermost call of `run`, until this is dropped.
struct Entered<'a>(&'a Frame);

impl<'a> Entered<'a> {
    fn new(frame: &'a Frame) -> Entered<'a> {
        FRAME.with(|innermost| innermost.set(frame));
        Entered(frame)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        FRAME.with(|innermost| innermost.set(self.0.outer));
    }
}

/// Calls `f` with `context` as the current one, or with an empty one, which is dropped afterwards.
pub(super) fn run<R>(context: Option<&Context>, f: impl FnOnce() -> R) -> R {
    let frame = Frame {
        given: context.map_or(ptr::null(), ptr::from_ref),
        made: OnceCell::new(),
        task: current_task(),
        outer: FRAME.with(Cell::get),
    };
    let _entered = Entered::new(&frame);
    f()
}

/// Where the current context is.
enum Place<'a> {
    /// In a call of `run`, if it has one.
    Call(&'a Frame),
    /// In the running task, if it has one.
    Task(TaskRef),
    /// In the thread, if it has one.
    Thread,
}

#[inline]
fn at_place<R>(f: impl FnOnce(Place<'_>) -> R) -> R {
    let task = current_task();
    // SAFETY: `Entered` borrows the frame for as long as the pointer is set.
    let frame = unsafe { FRAME.with(Cell::get).as_ref() };
    f(match (frame, NonNull::new(task.cast_mut())) {
        (Some(frame), _) if frame.task == task => Place::Call(frame),
        (_, Some(task)) => Place::Task(TaskRef::new(task.cast())),
        (_, None) => Place::Thread,
    })
}

/// Whether there may be a current context, at the price of two comparisons.
#[inline]
pub(crate) fn may_be_set() -> bool {
    let task = NonNull::new(current_task().cast_mut());
    !FRAME.with(Cell::get).is_null()
        || task.is_none_or(|task| TaskRef::new(task.cast()).header().try_extras().is_some())
}

/// Looks at the current context; `None` if there is none yet, as nothing was ever set in it.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(Option<&Context>) -> R) -> R {
    at_place(|place| match place {
        Place::Call(frame) => look(frame.context()),
        Place::Task(task) => look(task.header().try_extras().and_then(|extras| extras.context.get())),
        Place::Thread => with_ambient(look),
    })
}

/// The current context, if there is one yet.
pub(super) fn get() -> Option<Context> {
    with(|context| context.cloned())
}

/// The current context, made if need be.
pub(super) fn get_or_new() -> Context {
    at_place(|place| match place {
        Place::Call(frame) => frame.get_or_new().clone(),
        Place::Task(task) => task.header().extras().context.get_or_new().clone(),
        Place::Thread => AMBIENT
            .try_with(|ambient| ambient.borrow_mut().get_or_insert_default().clone())
            // What destructors set at a thread's end, nobody will look at.
            .unwrap_or_default(),
    })
}

/// Whether there can be no current context any more, as the thread is running its last destructors.
pub(super) fn is_over() -> bool {
    at_place(|place| matches!(place, Place::Thread) && AMBIENT.try_with(|_| ()).is_err())
}

#[cold]
fn with_ambient<R>(look: impl FnOnce(Option<&Context>) -> R) -> R {
    // A copy of the handle, so that a thread that is ending, and has none any more, is not a case of its own.
    let context = AMBIENT.try_with(|ambient| ambient.borrow().clone()).ok().flatten();
    look(context.as_ref())
}
