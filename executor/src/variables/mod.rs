//! Context variables: values that a task has from its creator, and keeps to itself.
//!
//! [`var`] is a variable, [`context`] a mapping of variables to [`values`], and [`current`] knows which one is in force;
//! [`own`] is a task's own. Where no variable was ever set, nothing is made, and nothing is copied.
//!
//! A variable's values are the user's: cloning and dropping them runs foreign code, which may use variables in turn. So
//! both happen with no lock held: what is under a lock is reference-counted, and only the counts change there.

mod context;
mod current;
mod own;
mod token;
mod values;
mod var;

#[cfg(all(test, not(kumihimo_loom)))]
mod tests;

pub use context::{Context, copy_context, run_in_context, try_copy_context};
pub use token::Token;
pub use var::ContextVar;

pub(crate) use current::may_be_set;
pub(crate) use own::{OwnContext, give};
// What a new task, or a callback, gets.
pub(crate) use context::try_copy_context as inherited;
