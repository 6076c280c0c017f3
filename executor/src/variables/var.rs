//! `ContextVar`: a variable whose value depends on the context.

use std::fmt;
use std::sync::Arc;
// Not loom's, whose atomics can't be made in a `static`: nothing depends on the order in which numbers are given.
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::context::Context;
use super::current;
use super::token::Token;
use super::values::{Id, Value};

/// The next variable's number.
static NEXT_ID: AtomicUsize = AtomicUsize::new(1);

/// A variable that each task has for itself: asyncio's way to pass a request's id, say, without passing it to every
/// function.
///
/// A task begins with the values that its creator had; what it sets is seen by what it awaits, and by the tasks that it
/// creates from then on, but by nobody else. Outside of tasks, each thread has values of its own.
///
/// ```
/// use std::sync::Arc;
/// use kumihimo_executor::{Builder, ContextVar, ParkDriver, create_task};
///
/// static REQUEST: ContextVar<u32> = ContextVar::new("request");
///
/// async fn handle() -> Option<u32> {
///     REQUEST.set(REQUEST.get().unwrap_or(0) + 1);
///     REQUEST.get()
/// }
///
/// # let runtime = Builder::new().worker_threads(2).build(Arc::new(ParkDriver::default()))?;
/// # let main = async {
/// REQUEST.set(7);
/// assert_eq!(create_task(handle()).await, Some(8));
/// assert_eq!(REQUEST.get(), Some(7), "the task worked on a copy");
/// assert_eq!(handle().await, Some(8));
/// assert_eq!(REQUEST.get(), Some(8), "what is awaited directly shares the context");
/// # };
/// # runtime.block_on(main, |_| {}).unwrap();
/// # std::io::Result::Ok(())
/// ```
///
/// A variable is meant to be a `static`. One that is not may be dropped; the values that it has in contexts stay there
/// as long as these do.
#[doc(alias = "contextvars.ContextVar")]
pub struct ContextVar<T> {
    name: &'static str,
    /// The value where none is set.
    default: Option<T>,
    /// The variable's number; zero until it is first set, so that a `static` needs no initialisation.
    id: AtomicUsize,
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    /// A variable without a default. The name is for messages; variables of the same name are different ones.
    pub const fn new(name: &'static str) -> ContextVar<T> {
        ContextVar { name, default: None, id: AtomicUsize::new(0) }
    }

    /// A variable that has this value wherever none is set.
    pub const fn with_default(name: &'static str, default: T) -> ContextVar<T> {
        ContextVar { name, default: Some(default), id: AtomicUsize::new(0) }
    }

    /// The variable's name.
    #[doc(alias = "contextvars.ContextVar.name")]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value in the current context, as a clone; otherwise the variable's default, if it has one.
    #[doc(alias = "contextvars.ContextVar.get")]
    pub fn get(&self) -> Option<T> {
        self.current_value().or_else(|| self.default.clone())
    }

    /// The value in the current context, as a clone; otherwise `default`, whatever the variable's own is.
    pub fn get_or(&self, default: T) -> T {
        self.current_value().unwrap_or(default)
    }

    /// Sets the variable in the current context. The token takes that back: see [`reset`](Self::reset).
    #[doc(alias = "contextvars.ContextVar.set")]
    pub fn set(&self, value: T) -> Token<T> {
        let context = current::get_or_new();
        let id = self.id();
        let old = context.replace(id, Some(Arc::new(value)));
        Token::new(id, &context, old)
    }

    /// Makes the variable what it was before the [`set`](Self::set) that gave the token.
    ///
    /// ```
    /// use kumihimo_executor::ContextVar;
    ///
    /// static LEVEL: ContextVar<&str> = ContextVar::with_default("level", "info");
    ///
    /// let token = LEVEL.set("debug");
    /// assert_eq!(LEVEL.get(), Some("debug"));
    /// LEVEL.reset(token);
    /// assert_eq!(LEVEL.get(), Some("info"));
    /// ```
    ///
    /// # Panics
    ///
    /// If the token is another variable's, or the variable was set in another context than the current one.
    #[doc(alias = "contextvars.ContextVar.reset")]
    #[track_caller]
    pub fn reset(&self, token: Token<T>) {
        if !token.is_of(self.id.load(Relaxed)) {
            self.refuse(token, "was created by a different variable");
        }
        let Some(context) = current::get().filter(|current| token.was_made_in(current)) else {
            if current::is_over() {
                return;
            }
            let why = "was created in a different context: reset the variable in the task that set it";
            self.refuse(token, why);
        };
        let (id, old) = token.into_parts();
        drop(context.replace(id, old));
    }

    /// The value in a context, without the default.
    pub(super) fn value_in(&self, context: &Context) -> Option<T> {
        context.lookup(self.known_id()?).map(|value| clone_of(&value))
    }

    fn current_value(&self) -> Option<T> {
        let id = self.known_id()?;
        let value = current::with(|context| context.and_then(|context| context.lookup(id)));
        value.map(|value| clone_of(&value))
    }

    /// The variable's number, if it was ever set.
    fn known_id(&self) -> Option<Id> {
        // Relaxed: who finds a context in which the variable is set was told of it by some other means, which ordered the
        // number before it.
        Some(self.id.load(Relaxed)).filter(|id| *id != 0)
    }

    fn id(&self) -> Id {
        self.known_id().unwrap_or_else(|| self.take_id())
    }

    #[cold]
    fn take_id(&self) -> Id {
        // Relaxed: only that numbers are unique counts.
        let next = NEXT_ID.fetch_update(Relaxed, Relaxed, |id| id.checked_add(1));
        let new = next.expect("there are no more numbers for context variables");
        // Relaxed: a number stands for nothing but itself.
        match self.id.compare_exchange(0, new, Relaxed, Relaxed) {
            Ok(_) => new,
            Err(others) => others,
        }
    }

    #[cold]
    #[track_caller]
    fn refuse(&self, token: Token<T>, why: &str) -> ! {
        // Its old value's destructor must not meet the panic.
        drop(token);
        panic!("the token given to `reset` of the context variable {:?} {why}", self.name)
    }
}

fn clone_of<T: Clone + 'static>(value: &Value) -> T {
    value.downcast_ref::<T>().expect("a variable's values are of its type").clone()
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar").field("name", &self.name).finish_non_exhaustive()
    }
}
