//! asyncio's combinators.
//!
//! | | waits for | on an error | who is cancelled with the awaiter |
//! |---|---|---|---|
//! | [`gather`] | all | - | all children |
//! | [`gather`]`(..).outcomes()` | all | waits on, gives it as a value | all children |
//! | [`try_gather`] | all, or the first `Err` | returns it at once; the others run on | all children |
//! | [`shield`] | its task | - | nobody but the awaiter |
//! | [`catch_cancelled`] | its future | - | its future; the cancellation becomes a value |
//! | [`finally`] | its future, then the clean-up | - | its future; then the clean-up runs |

#![forbid(unsafe_code)]

mod catch_cancelled;
mod children;
mod finally;
mod gather;
mod into_task;
mod shield;

pub use catch_cancelled::{CatchCancelled, catch_cancelled};
pub use children::{Children, Gatherable, TryChildren};
pub use finally::{Finally, FinallyOrSpawn, finally};
pub use gather::{Gather, Outcomes, TryGather, gather, try_gather};
pub use into_task::into_task;
pub use shield::{Shield, shield};
