//! What a future can know about the poll it is in.
//!
//! While an executor polls a task, a thread-local *poll context* says which task that is, whether a cancellation
//! is being **delivered** to it, whether a cancellation is being **raised** in it, and how much budget is left.
//! The crate is everything that leaves, forwards and scopes share; it knows no executor.
//!
//! | who | uses | to |
//! |---|---|---|
//! | an executor | [`enter`], [`PollGuard::ending`] | open the context around a poll, read what came of it |
//! | a leaf (sleep, readiness, lock, ...) | [`Leaf`] | give way to a delivery, spend budget, say what it waits for |
//! | a forward (awaits tasks) | [`Forward`] | take a delivery and pass it on |
//! | a scope (`catch_cancelled`, time-outs, groups) | [`scope`], [`discard`] | catch a delivery or a raise |
//! | a primitive (lock, queue, ...) | [`in_order`], [`is_cancelled`], [`spawn_hidden`] | pass over who was cancelled, put off what takes long |
//! | user code | [`CancelledError::raise`] | end the task, or the enclosing scope, as cancelled |
//!
//! Nothing of that allocates or takes a lock, and a task that is never cancelled pays one flag test per await.

mod cancelled;
mod forward;
mod leaf;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod mutex;
mod poll_context;
mod scope;
mod services;
mod sync;
mod wait;

pub use cancelled::{CancelMessage, CancelledError};
pub use forward::Forward;
pub use leaf::Leaf;
pub use poll_context::{
    Ending, PollGuard, UNLIMITED, current_task, delivering, enter, keeping_message, noting, poll_again,
};
pub use scope::{Scoped, deliver_inside, discard, scope};
pub use services::{Hidden, Services, in_order, is_cancelled, provide, spawn_hidden};
pub use wait::{WaitKind, WaitWord};
