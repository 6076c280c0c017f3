//! Functions in other processes.
//!
//! A [`ProcessPoolExecutor`] keeps a few copies of this program running and has them call functions, with arguments and
//! results in [postcard](https://postcard.jamesmunns.com)'s format. Nothing is registered, and `main` knows nothing of
//! it: a function travels as its place in the program's code.
//!
//! # Inside
//!
//! A call is made on the caller's thread (`pool.rs`), which encodes it, and waits in the pool's queue (`roster.rs`).
//! Each worker process has one socket, an ordinary source of the loop's reactor, and one task of the loop that talks
//! to it (`driver.rs`). What blocks, starting and ending processes, is done by threads of the pool's own.
//!
//! | file | concept |
//! |---|---|
//! | `pool.rs`, `builder.rs` | [`ProcessPoolExecutor`] and its settings |
//! | `job.rs`, `map.rs`, `shutdown.rs` | the futures |
//! | `call.rs` | a call: waiting, under way, ended |
//! | `roster.rs`, `state.rs` | which workers there are, who is idle, when one is started, what a death means |
//! | `worker.rs`, `line.rs` | one worker: its process, and the connection to it |
//! | `driver.rs` | the task that talks to one worker |
//! | `claims.rs` | calls that were sent ahead can be had back |
//! | `adopt.rs` | a pool outlives the loop that it was used in |
//! | `error.rs`, `broken.rs`, `panics.rs` | what can go wrong |
//! | `wire.rs`, `codec.rs` | frames, and what is in them |
//! | `function.rs`, `image.rs` | how a function travels: its place in this program's code |
//! | `start.rs`, `child_process.rs`, `zygote.rs`, `pass_fd.rs`, `signal_mask.rs` | starting, signalling and reaping processes |
//! | `hook.rs`, `child/` | the worker's side |

mod adopt;
mod broken;
mod builder;
mod call;
mod child;
mod child_process;
mod claims;
mod codec;
mod driver;
mod error;
mod function;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hook;
mod image;
mod job;
mod line;
mod map;
mod panics;
mod pass_fd;
mod pool;
mod roster;
mod shutdown;
mod signal_mask;
mod start;
mod state;
mod wire;
mod worker;
mod zygote;

pub use broken::BrokenProcessPool;
pub use builder::{OnCrash, ProcessPoolBuilder};
pub use error::ProcessError;
pub use job::ProcessJob;
pub use map::ProcessMap;
pub use panics::RemotePanic;
pub use pool::ProcessPoolExecutor;
pub use shutdown::ProcessShutdown;
pub use start::StartMethod;
