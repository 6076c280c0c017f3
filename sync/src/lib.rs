//! asyncio's locks, events, semaphores, barriers and queues, for any executor and for plain threads.
//!
//! | to | there is |
//! |---|---|
//! | let one in at a time | [`Lock`] |
//! | let so many in at a time | [`Semaphore`], [`BoundedSemaphore`] |
//! | wait for a flag | [`Event`] |
//! | wait, under a lock, for a change | [`Condition`] |
//! | meet | [`Barrier`] |
//! | hand work over | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//!
//! All may be used from any thread. Nothing is lost when a waiter is cancelled, or dropped: what it had been given goes to the
//! next in line. What can be done at once is done without a system call.
//!
//! # How it works
//!
//! - `waiters.rs` is the list of waiters. They live in the futures that wait, so waiting allocates nothing.
//! - `permits.rs` counts permits in one word, beside such a list: locks and semaphores.
//! - `crowd.rs` wakes many at once: all within the call, but that `Event::set` and `Condition::notify_all` leave most of a large crowd to
//!   a task of its own, where a loop of several workers runs one.
//! - `queue/` has two ends with a mutex each: items are put into one, and taken out of the other.
//!
//! No waker is called, cloned or dropped while a mutex is held. The executor is seen through `kumihimo-context` only: whether a
//! cancellation is being delivered, and, where tasks run in one order, whether a waiter was cancelled and has not run since.

mod barrier;
mod blocking;
mod condition;
mod crowd;
mod event;
mod lock;
mod lock_guard;
#[cfg(all(test, kumihimo_loom))]
mod loom_models;
mod permit;
mod permits;
mod queue;
mod semaphore;
mod sync;
mod waiters;

pub use barrier::{Barrier, BarrierStatistics, BrokenBarrierError};
pub use condition::{Condition, ConditionStatistics, ConditionWait};
pub use event::{Event, EventStatistics, EventWait};
pub use lock::{Acquire, AcquireOwned, Lock, LockStatistics};
pub use lock_guard::{LockGuard, OwnedLockGuard};
pub use permit::{OwnedPermit, Permit};
pub use queue::{
    Fifo, Get, GetError, Join, Lifo, LifoQueue, Order, Priority, PriorityQueue, Put, PutError, Queue,
    QueueEmpty, QueueFull, QueueShutDown, QueueStatistics, TooManyDone,
};
pub use semaphore::{
    AnySemaphore, BoundedSemaphore, ReleasedTooOften, Semaphore, SemaphoreStatistics, TakeOwnedPermit,
    TakePermit,
};
