//! Blocking functions on threads of their own.
//!
//! A loop's threads must not block. What has to block (file systems, DNS, a C library, long computations) goes to a
//! [`ThreadPoolExecutor`], whose threads may, and comes back as a future:
//!
//! ```
//! use futures_lite::future::block_on;
//! use kumihimo_blocking_pool::ThreadPoolExecutor;
//!
//! let pool = ThreadPoolExecutor::default();
//! let sum = pool.submit(|| (1..=10_u64).sum::<u64>());
//! assert_eq!(block_on(sum), 55);
//! block_on(pool.shutdown(true, false));
//! ```
//!
//! - [`ThreadPoolExecutor::submit`] gives a [`Job`], the future of the function's value; [`Job::outcome`] gives panics as
//!   values ([`JobError`]). Any executor can poll them, and threads that may block can wait for them.
//! - [`ThreadPoolExecutor::map`] gives the values of one function for many items ([`Map`]).
//! - [`ThreadPoolExecutor::shutdown`] closes the pool; [`Shutdown`] waits for its last job.
//! - An [`Executor`] is whatever else runs such functions; [`submit_to`] hands it one.
//! - A loop makes a pool its [default executor](DefaultExecutor) with [`enter`]; [`to_thread`] finds it there.
//!
//! The feature `process` adds the module `process`: functions in other processes.
//!
//! # Inside
//!
//! | file | concept |
//! |---|---|
//! | `slot.rs` | one job's allocation: who may touch what when; all the unsafe code of threads' jobs |
//! | `job.rs`, `map.rs`, `to_thread.rs`, `shutdown.rs` | the futures |
//! | `job_error.rs`, `submit_error.rs` | how a job fails, and why one is not taken |
//! | `queue.rs` | the FIFO of jobs that have not begun (crossbeam-channel) |
//! | `crew.rs`, `counts.rs`, `sleeper.rs` | who is woken, started, parked, and why no job is lost |
//! | `worker.rs` | a pool thread's life |
//! | `thread_pool.rs`, `builder.rs`, `metrics.rs` | the pool, its settings, and what it tells |
//! | `executor.rs` | executors of the user's own |
//! | `default_executor.rs`, `current.rs` | a loop's default pool, and which loop runs here |
//! | `blocking.rs` | waiting without a loop |
//! | `clock.rs` | a paused clock waits for open jobs |
//! | `process/` | processes instead of threads, with a tour of its own |
//! | `turns.rs`, `hand.rs` | which calls a process has begun, and how the others are had back |
//! | `loom_models.rs` | the models of the slot, the crew, a pool that breaks, and calls that are had back |
//!
//! Left out on purpose: priorities, scoped (non-`'static`) jobs and interrupting a job that runs, which no system can do
//! safely.

mod blocking;
mod builder;
mod clock;
mod counts;
mod crew;
mod current;
mod default_executor;
mod executor;
#[cfg(any(feature = "process", all(test, kumihimo_loom)))]
mod hand;
mod job;
mod job_error;
#[cfg(all(test, kumihimo_loom))]
mod loom_models;
mod map;
mod metrics;
#[cfg(kumihimo_loom)]
mod model_thread;
#[cfg(feature = "process")]
pub mod process;
mod queue;
mod quiet;
mod shutdown;
mod sleeper;
mod slot;
mod submit_error;
mod sync;
mod thread_pool;
mod to_thread;
#[cfg(any(feature = "process", all(test, kumihimo_loom)))]
mod turns;
mod worker;

pub use builder::Builder;
pub use current::{Entered, current, enter};
pub use default_executor::DefaultExecutor;
pub use executor::{Executor, ExecutorError, ExecutorJob, submit_to};
pub use job::{Job, Outcome};
pub use job_error::{BrokenThreadPool, JobError};
pub use map::{Map, MapAll, MapNext};
pub use metrics::PoolMetrics;
pub use shutdown::Shutdown;
pub use submit_error::SubmitError;
pub use thread_pool::ThreadPoolExecutor;
pub use to_thread::{ToThread, to_thread};
