//! A task: its allocation, its state, its awaiters, its end.
//!
//! [`state`] has every transition; [`header`] says who may touch what; [`harness`] runs a step; [`waiters`] are told of
//! the end; [`cancel`] makes requests; [`join`] awaits.

mod builder;
pub(crate) mod cancel;
pub(crate) mod cell;
mod extras;
pub(crate) mod failure;
mod handle;
pub(crate) mod harness;
pub(crate) mod header;
pub(crate) mod id;
mod join;
pub(crate) mod link;
mod observation;
mod owned;
pub(crate) mod promise;
mod recognise;
mod report;
mod shared;
mod shielded;
pub(crate) mod state;
pub(crate) mod waiters;
pub(crate) mod waker;

pub(crate) use cancel::is_cancelled_in_queue;

pub use builder::TaskBuilder;
pub use cancel::{Due, Inside};
pub use failure::{PanicError, ResultError, TaskError};
pub use handle::{CallbackId, TaskHandle, WaitEnd};
pub use id::TaskId;
pub use link::{AwaitLink, Awaited};
pub use observation::Observation;
pub use owned::{Outcome, Task};
pub use promise::{InvalidStateError, Promise};
pub use recognise::as_task;
pub use shared::SharedTask;
pub use shielded::Shielded;
pub use waiters::Observer;
