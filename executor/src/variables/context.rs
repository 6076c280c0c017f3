//! `Context`: a mapping of variables to values.

use std::fmt;
use std::sync::{Arc, Weak};

use super::current;
use super::values::{Id, Value, Values};
use super::var::ContextVar;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The values of context variables: each task has one.
///
/// Clones are handles of the same context, as in Python; [`copy`](Self::copy) makes another one, which costs the same
/// however many variables are set. Two handles are equal if they stand for the same context.
///
/// A context may be current in several places at once, on several threads (Python raises a `RuntimeError` there): each
/// `get`, `set` and `reset` happens as a whole, and all of them see what any of them set.
///
/// ```
/// use kumihimo_executor::{ContextVar, copy_context};
///
/// static USER: ContextVar<&str> = ContextVar::new("user");
///
/// let context = copy_context();
/// context.run(|| {
///     USER.set("root");
/// });
/// assert_eq!(context.get(&USER), Some("root"));
/// assert_eq!(USER.get(), None);
/// ```
#[doc(alias = "contextvars.Context")]
#[derive(Clone)]
pub struct Context(Arc<Shared>);

/// What the handles of one context share.
struct Shared {
    /// Whether a variable was ever set, for a look without the lock.
    any: AtomicBool,
    /// Shared with copies of the context until one of them is changed; `None` if nothing was ever set.
    values: Mutex<Option<Arc<Values>>>,
}

/// A copy of the current context: empty if no variable is set.
#[doc(alias = "contextvars.copy_context")]
pub fn copy_context() -> Context {
    try_copy_context().unwrap_or_default()
}

/// [`copy_context`], but `None` where no variable is set: then there is nothing to carry along, at no cost.
#[inline]
pub fn try_copy_context() -> Option<Context> {
    current::with(|context| context.and_then(Context::try_copy))
}

/// Calls `f` in the context that [`try_copy_context`] gave: with `None`, in an empty one, which is made only if `f` sets a
/// variable.
///
/// This is how callbacks and threads carry variables along, at no cost where there are none. What `f` sets stays in that
/// context.
pub fn run_in_context<R>(context: Option<&Context>, f: impl FnOnce() -> R) -> R {
    current::run(context, f)
}

impl Context {
    /// An empty context.
    pub fn new() -> Context {
        Context::of(None)
    }

    fn of(values: Option<Arc<Values>>) -> Context {
        Context(Arc::new(Shared { any: AtomicBool::new(values.is_some()), values: Mutex::new(values) }))
    }

    /// Another context with the same values.
    #[doc(alias = "contextvars.Context.copy")]
    #[must_use]
    pub fn copy(&self) -> Context {
        Context::of(self.0.values.lock().clone())
    }

    /// Calls `f` with this context as the current one: what `f` sets stays set in here.
    ///
    /// Calls nest. The context that was current is current again afterwards, also if `f` panics.
    #[doc(alias = "contextvars.Context.run")]
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        current::run(Some(self), f)
    }

    /// A variable's value in this context, as a clone; `None` if it is not set here, whatever its default.
    #[doc(alias = "contextvars.Context.get")]
    pub fn get<T: Clone + Send + Sync + 'static>(&self, var: &ContextVar<T>) -> Option<T> {
        var.value_in(self)
    }

    /// The number of variables that are set.
    pub fn len(&self) -> usize {
        self.0.values.lock().as_ref().map_or(0, |values| values.len())
    }

    /// Whether no variable is set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is worth locking.
    #[inline]
    fn has_any(&self) -> bool {
        // Relaxed: what was set before, whoever set it, is seen, and what is being set may be missed.
        self.0.any.load(Relaxed)
    }

    /// A copy, unless there is nothing to copy.
    #[inline]
    fn try_copy(&self) -> Option<Context> {
        if self.has_any() { self.copy_values() } else { None }
    }

    fn copy_values(&self) -> Option<Context> {
        let values = self.0.values.lock().as_ref().filter(|values| values.len() > 0).cloned();
        values.map(|values| Context::of(Some(values)))
    }

    /// A value. Runs no foreign code.
    pub(super) fn lookup(&self, id: Id) -> Option<Value> {
        if !self.has_any() {
            return None;
        }
        self.0.values.lock().as_ref()?.get(id).cloned()
    }

    /// Sets a value, or takes it out; gives the one before.
    pub(super) fn replace(&self, id: Id, value: Option<Value>) -> Option<Value> {
        let mut slot = self.0.values.lock();
        self.0.any.store(true, Relaxed);
        if let Some(values) = slot.as_mut().and_then(Arc::get_mut) {
            return values.replace(id, value);
        }
        let mut values = slot.as_deref().cloned().unwrap_or_default();
        let old = values.replace(id, value);
        let shared = slot.replace(Arc::new(values));
        drop(slot);
        // Whoever shared them may have gone meanwhile, and then values end here: with the lock released.
        drop(shared);
        old
    }

    /// Drops the values, if this is the only handle. Somebody who gets another one meanwhile finds an empty context.
    pub(super) fn clear_alone(&self) {
        if Arc::strong_count(&self.0) == 1 {
            let values = self.0.values.lock().take();
            drop(values);
        }
    }

    pub(super) fn downgrade(&self) -> WeakContext {
        WeakContext(Arc::downgrade(&self.0))
    }
}

impl Default for Context {
    fn default() -> Context {
        Context::new()
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("variables", &self.len()).finish()
    }
}

/// A context that others may drop. Its address stands for no other context as long as this is there.
pub(super) struct WeakContext(Weak<Shared>);

impl WeakContext {
    pub(super) fn is(&self, context: &Context) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&context.0))
    }
}
