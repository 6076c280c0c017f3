//! A task: its allocation, its state, its awaiters, its end.
//!
//! [`state`] has every transition; [`header`] says who may touch what; [`harness`] runs a step; [`waiters`] are told of
//! the end; [`cancel`] makes requests; [`join`] awaits.

pub(crate) mod cancel;
pub(crate) mod cell;
mod extras;
mod failure;
mod handle;
pub(crate) mod harness;
pub(crate) mod header;
pub(crate) mod id;
mod join;
mod owned;
mod shared;
pub(crate) mod state;
pub(crate) mod waiters;
pub(crate) mod waker;

pub use failure::{PanicError, ResultError, TaskError};
pub use handle::{TaskHandle, WaitEnd};
pub use id::TaskId;
pub use owned::{Outcome, Shielded, Task};
pub use shared::SharedTask;
pub use waiters::Observer;
