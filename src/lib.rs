//! kumihimo: asyncio for Rust.
//!
//! Python asyncio's names and semantics, cancellation included, on a multi-threaded work-stealing executor.
//!
//! ```
//! use std::time::Duration;
//! use kumihimo as asyncio;
//!
//! async fn say_after(delay: Duration, what: &'static str) -> &'static str {
//!     asyncio::sleep(delay).await;
//!     what
//! }
//!
//! let (hello, world) = asyncio::run(async {
//!     asyncio::gather((
//!         say_after(Duration::from_millis(10), "hello"),
//!         say_after(Duration::from_millis(20), "world"),
//!     ))
//!     .await
//! });
//! assert_eq!((hello, world), ("hello", "world"));
//! ```
//!
//! # Where things are
//!
//! | to | there is |
//! |---|---|
//! | run a program | [`run`], [`Runner`], [`main`](macro@main), [`test`](macro@test) |
//! | start and cancel tasks | [`create_task`], [`create_local_task`], [`Task`], [`TaskHandle`], [`SharedTask`], [`current_task`], [`all_tasks`] |
//! | wait for several | [`gather`](fn@gather), [`try_gather`](fn@try_gather), [`shield`] |
//! | synchronise | [`Lock`], [`Event`], [`Condition`], [`Semaphore`], [`BoundedSemaphore`], [`Barrier`] |
//! | hand work over | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//! | clean up | [`catch_cancelled`], [`finally`], [`CancelledError`] |
//! | wait for time | [`sleep`], [`sleep_until`], [`sleep_with`], [`interval`], [`yield_now`], [`clock`] |
//! | call blocking code | [`to_thread`], [`ThreadPoolExecutor`], [`EventLoop::run_in_executor`], [`Executor`] |
//! | compute in other processes | [`ProcessPoolExecutor`], [`EventLoop::run_in_process`], [`process`] |
//! | use the loop | [`get_running_loop`], [`EventLoop`], [`run_coroutine_threadsafe`] |
//! | do I/O | [`net`], [`Async`] |
//! | check all interleavings | [`model`](fn@model), [`mod@model`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `macros` | yes | `#[kumihimo::main]`, `#[kumihimo::test]` |
//! | `net` | yes | [`net`]: TCP listeners and streams, signals |
//! | `process-pool` | yes | [`ProcessPoolExecutor`], [`process`]: functions in other processes; brings serde |
//! | `hyper` | no | [`hyper`]: hyper's `rt` traits |
//!
//! # Coming from asyncio
//!
//! Exceptions are values: a coroutine that can fail returns `Result`, and "raised an exception" means `Err`, or a panic.
//! `gather` is asyncio's `return_exceptions=True`, `try_gather` its default form. Cancelling a task raises at the await
//! where it is suspended, as in asyncio: everything in there is dropped from the inside out, up to the nearest
//! [`catch_cancelled`] or [`finally`], which may await.
//!
//! ## What the compiler catches
//!
//! A future that is never awaited does nothing, and is warned of:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! kumihimo::run(async {
//!     kumihimo::sleep(std::time::Duration::ZERO);
//! });
//! ```
//!
//! So is a task that is dropped, and thereby detached, without a word:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! kumihimo::run(async {
//!     kumihimo::create_task(async {});
//! });
//! ```
//!
//! `.await` works in `async` code only:
//!
//! ```compile_fail
//! fn main() {
//!     kumihimo::yield_now().await;
//! }
//! ```
//!
//! `create_task` takes a future (a call, `work()`), not a function:
//!
//! ```compile_fail
//! async fn work() {}
//! kumihimo::run(async { kumihimo::create_task(work).await });
//! ```

mod builder;
mod concurrent_future;
mod ctrl_c;
mod driver;
mod event_loop;
mod executor;
mod gather;
mod handle;
#[cfg(feature = "hyper")]
pub mod hyper;
mod manual;
pub mod model;
mod run;
#[cfg(feature = "process-pool")]
mod run_in_process;
mod runner;

pub use builder::Builder;
pub use concurrent_future::{ConcurrentError, ConcurrentFuture, run_coroutine_threadsafe};
pub use event_loop::{EventLoop, get_running_loop, try_get_running_loop};
pub use executor::IntoExecutor;
pub use handle::Handle;
pub use manual::{get_event_loop, new_event_loop};
pub use model::model;
pub use run::run;
pub use runner::Runner;

pub use kumihimo_blocking_pool::{
    BrokenThreadPool, Executor, ExecutorError, ExecutorJob, Job, JobError, PoolMetrics, SubmitError,
    ThreadPoolExecutor, to_thread,
};
pub use kumihimo_combinators::{
    AllCompleted, AsCompleted, Done, ExceptionGroup, FirstCompleted, ReturnWhen, TaskGroup, Timeout,
    TimeoutError, as_completed, catch_cancelled, finally, gather, shield, task_group, timeout, timeout_at,
    try_gather, wait, wait_for,
};
pub use kumihimo_context::CancelledError;
pub use kumihimo_executor::{
    CallbackId, Context, ContextVar, ExceptionContext, ExceptionHandler, InvalidStateError, PanicError,
    Promise, ResultError, SharedTask, Task, TaskError, TaskHandle, TaskId, Token, all_tasks, copy_context,
    create_local_task, create_task, current_task, yield_now,
};
pub use kumihimo_reactor::{
    Async, Instant, Interval, Missed, clock, interval, sleep, sleep_until, sleep_with,
};

pub use kumihimo_sync::{
    Barrier, BarrierStatistics, BoundedSemaphore, BrokenBarrierError, Condition, ConditionStatistics, Event,
    EventStatistics, GetError, LifoQueue, Lock, LockGuard, LockStatistics, OwnedLockGuard, OwnedPermit,
    Permit, PriorityQueue, PutError, Queue, QueueEmpty, QueueFull, QueueShutDown, QueueStatistics,
    ReleasedTooOften, Semaphore, SemaphoreStatistics, TooManyDone,
};

#[cfg(feature = "macros")]
pub use kumihimo_macros::{main, test};

/// The futures behind the functions, for those who need to name them.
pub mod future {
    pub use kumihimo_blocking_pool::{Map, MapAll, MapNext, Outcome as JobOutcome, Shutdown, ToThread};
    pub use kumihimo_combinators::{
        AsCompletedWithin, AsTask, CatchCancelled, Children, Fallible, Finally, FinallyOrSpawn, Gather,
        Gatherable, Lend, Next, NextWithin, Outcomes, Shield, TryChildren, TryGather, Wait, WaitFor,
        Waitable, WithTaskGroup, WithTimeout,
    };
    pub use kumihimo_executor::{Outcome, WaitEnd, YieldNow};
    pub use kumihimo_reactor::{Sleep, SleepWith};
    pub use kumihimo_sync::{
        Acquire, AcquireOwned, AnySemaphore, ConditionWait, EventWait, Get, Join, Put, TakeOwnedPermit,
        TakePermit,
    };
}

/// The orders of a [`Queue`], for code that serves all.
pub mod queue {
    pub use kumihimo_sync::{Fifo, Lifo, Order, Priority};
}

/// The settings of a [`ThreadPoolExecutor`].
pub mod thread_pool {
    pub use kumihimo_blocking_pool::Builder;
}

/// `create_task` with asyncio's keyword arguments.
pub mod task {
    pub use kumihimo_executor::TaskBuilder as Builder;
}

#[cfg(feature = "process-pool")]
#[doc(inline)]
pub use kumihimo_blocking_pool::process;
#[cfg(feature = "process-pool")]
pub use kumihimo_blocking_pool::process::{BrokenProcessPool, ProcessError, ProcessPoolExecutor};

/// Sockets and signals: feature `net`.
#[cfg(feature = "net")]
pub mod net {
    pub use kumihimo_net::*;
}

/// What the macros expand to. Not for others.
#[doc(hidden)]
pub mod __private {
    pub use crate::run::run_with;
}

/// The README's code, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
