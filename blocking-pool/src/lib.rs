//! Blocking functions on threads of their own.
//!
//! A loop's threads must not block. What has to block (file systems, DNS, a C library, long computations) goes to a
//! [`ThreadPool`], whose threads may, and comes back as a future:
//!
//! ```
//! use futures_lite::future::block_on;
//! use kumihimo_blocking_pool::ThreadPool;
//!
//! let pool = ThreadPool::new();
//! let sum = pool.submit(|| (1..=10_u64).sum::<u64>());
//! assert_eq!(block_on(sum), 55);
//! block_on(pool.shutdown(false));
//! ```
//!
//! - [`ThreadPool::submit`] gives a [`Job`], the future of the function's value; [`Job::outcome`] gives panics as
//!   values ([`JobError`]). Any executor can poll them.
//! - [`ThreadPool::shutdown`] closes the pool; [`Shutdown`] waits for its last job.
//! - A loop makes a pool its default with [`enter`]; [`to_thread`] finds it there.
//!
//! # Inside
//!
//! | file | concept |
//! |---|---|
//! | `slot.rs` | one job's allocation: who may touch what when; all the unsafe code |
//! | `job.rs`, `to_thread.rs`, `shutdown.rs` | the futures |
//! | `queue.rs` | the FIFO of jobs that have not begun (crossbeam-channel) |
//! | `crew.rs`, `counts.rs`, `sleeper.rs` | who is woken, started, parked, and why no job is lost |
//! | `worker.rs` | a pool thread's life |
//! | `thread_pool.rs`, `current.rs` | the pool, and which one is the default |
//! | `clock.rs` | a paused clock waits for open jobs |
//! | `loom_tests.rs` | the models that check the first and the fourth line |
//!
//! Left out on purpose: priorities, scoped (non-`'static`) jobs and interrupting a job that runs, which no system can do
//! safely.

mod clock;
mod counts;
mod crew;
mod current;
mod job;
#[cfg(all(test, kumihimo_loom))]
mod loom_tests;
mod queue;
mod quiet;
mod shutdown;
mod sleeper;
mod slot;
mod sync;
mod thread_pool;
mod to_thread;
mod worker;

pub use current::{Entered, current, enter};
pub use job::{Job, JobError, Outcome};
pub use shutdown::Shutdown;
pub use thread_pool::{Builder, ShutDown, ThreadPool};
pub use to_thread::{ToThread, to_thread};
