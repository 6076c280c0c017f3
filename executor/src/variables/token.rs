//! `Token`: what a variable was before it was set.

use std::fmt;
use std::sync::Arc;

use super::context::{Context, WeakContext};
use super::values::{Id, Value};

/// Takes a [`ContextVar::set`](super::ContextVar::set) back, where it is given to
/// [`ContextVar::reset`](super::ContextVar::reset). Dropping it does nothing.
#[doc(alias = "contextvars.Token")]
pub struct Token<T> {
    /// The variable.
    var: Id,
    /// Where it was set. Weak, so that a token that is itself in a variable keeps no context for ever.
    context: WeakContext,
    /// What it was before.
    old: Option<Arc<T>>,
}

impl<T: Send + Sync + 'static> Token<T> {
    pub(super) fn new(var: Id, context: &Context, old: Option<Value>) -> Token<T> {
        let old = old.map(|old| old.downcast().expect("a variable's values are of its type"));
        Token { var, context: context.downgrade(), old }
    }

    pub(super) fn is_of(&self, var: Id) -> bool {
        self.var == var
    }

    pub(super) fn was_made_in(&self, context: &Context) -> bool {
        self.context.is(context)
    }

    pub(super) fn into_parts(self) -> (Id, Option<Value>) {
        (self.var, self.old.map(|old| old as Value))
    }
}

impl<T> Token<T> {
    /// The value before the variable was set; `None` if it had none in that context.
    #[doc(alias = "contextvars.Token.old_value")]
    pub fn old_value(&self) -> Option<&T> {
        self.old.as_deref()
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("had_value", &self.old.is_some()).finish_non_exhaustive()
    }
}
