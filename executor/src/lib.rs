//! kumihimo's executor: tasks with asyncio's cancellation on a multi-threaded work-stealing scheduler.
//!
//! - [`Task`], [`SharedTask`], [`TaskHandle`]: running tasks, and awaiting, cancelling and naming them.
//! - [`create_task`], [`create_local_task`], [`current_task`], [`all_tasks`], [`yield_now`].
//! - [`ContextVar`], [`Context`], [`copy_context`]: values that tasks have from their creators.
//! - [`Runtime`], made by a [`Builder`]: the workers; [`Scheduler`]: a handle to them for other threads.
//! - [`Driver`]: where time and readiness come from. The executor knows neither a clock nor a descriptor.
//!
//! Inside: `task/` is one task, `scheduler/` is the workers and their queues, `sleep/` is who sleeps and who is woken.
//!
//! ```
//! use std::sync::Arc;
//! use kumihimo_executor::{Builder, ParkDriver, create_task};
//!
//! let runtime = Builder::new().worker_threads(2).build(Arc::new(ParkDriver::default()))?;
//! let answer = runtime.block_on(async { create_task(async { 6 * 7 }).await }, |_| {});
//! assert_eq!(answer.unwrap(), 42);
//! # Ok::<(), std::io::Error>(())
//! ```

mod clock;
mod driver;
mod exceptions;
#[cfg(kumihimo_loom)]
#[doc(hidden)]
pub mod model;
#[cfg(not(kumihimo_loom))]
#[path = "model/absent.rs"]
mod model;
mod scheduler;
mod sleep;
mod spin;
mod sync;
mod task;
mod variables;
mod yield_now;

#[cfg(all(test, kumihimo_loom))]
mod loom_models;

pub use driver::{Driver, Turn};
pub use exceptions::{ExceptionContext, ExceptionHandler};
#[doc(hidden)]
pub use scheduler::links_here;
pub use scheduler::{
    Builder, Flavor, Runtime, Scheduler, Session, WeakScheduler, all_tasks, create_local_task, create_task,
    current_task, is_running,
};
#[doc(hidden)]
pub use spin::Spin;
pub use task::{
    AwaitLink, Awaited, CallbackId, Due, Inside, InvalidStateError, Observation, Observer, Outcome,
    PanicError, Promise, ResultError, SharedTask, Shielded, Task, TaskBuilder, TaskError, TaskHandle, TaskId,
    WaitEnd, as_task,
};
pub use variables::{Context, ContextVar, Token, copy_context, run_in_context, try_copy_context};
pub use yield_now::{YieldNow, yield_now};

#[cfg(not(kumihimo_loom))]
pub use driver::ParkDriver;
