//! asyncio's combinators.
//!
//! | | waits for | on an error | who is cancelled with the awaiter |
//! |---|---|---|---|
//! | [`gather`] | all | - | all children |
//! | [`gather`]`(..).outcomes()` | all | waits on, gives it as a value | all children |
//! | [`try_gather`] | all, or the first `Err` | returns it at once; the others run on | all children |
//! | [`wait`] | all, or the first, or a time | - | nobody but the awaiter |
//! | [`as_completed`] | the next to end, each turn | - | nobody but the awaiter |
//! | [`wait_for`] | its future, or a time | - | its future, also when the time is over |
//! | [`timeout`], [`timeout_at`] | its block, or a time | - | its block, also when the time is over |
//! | [`task_group`] | its block and all its tasks | cancels the others, gives all errors | the block and all tasks |
//! | [`shield`] | its task | - | nobody but the awaiter |
//! | [`catch_cancelled`] | its future | - | its future; the cancellation becomes a value |
//! | [`finally`] | its future, then the clean-up | - | its future; then the clean-up runs |

#![forbid(unsafe_code)]

mod as_completed;
mod catch_cancelled;
mod children;
mod exception_group;
mod expiry;
mod finally;
mod gather;
mod group_members;
mod into_task;
mod part;
mod shield;
mod sync;
mod task_group;
mod timeout;
mod timeout_error;
mod wait;
mod wait_for;
mod waitable;

pub use as_completed::{AsCompleted, AsCompletedWithin, Next, NextWithin, as_completed};
pub use catch_cancelled::{CatchCancelled, catch_cancelled};
pub use children::{Children, Gatherable, TryChildren};
pub use exception_group::ExceptionGroup;
pub use finally::{Finally, FinallyOrSpawn, finally};
pub use gather::{Gather, Outcomes, TryGather, gather, try_gather};
pub use into_task::into_task;
pub use shield::{Shield, shield};
pub use task_group::{TaskGroup, WithTaskGroup, task_group};
pub use timeout::{Timeout, WithTimeout, timeout, timeout_at};
pub use timeout_error::TimeoutError;
pub use wait::{AllCompleted, Done, FirstCompleted, ReturnWhen, Wait, wait};
pub use wait_for::{WaitFor, wait_for};
pub use waitable::{AsTask, Fallible, Lend, Waitable};
