//! asyncio, transcribed: `base_events.py`, `futures.py`, `tasks.py`, `timeouts.py`, `taskgroups.py`, `locks.py` and
//! `queues.py` as plain Rust.
//!
//! A Python coroutine is a Rust future here, and an exception that is raised in it an `Err`: `send` and `throw` become a
//! poll that finds `Ok` or `Err` at the await where it is suspended. Names are Python's, so that a reader can hold the two
//! side by side. One thread, no wakers, nothing clever; nothing of kumihimo.

mod combinators;
mod event_loop;
mod exception;
mod future;
mod interpreter;
mod locks;
mod primitives;
mod queues;
mod task_group;
mod timeout;

pub(crate) use exception::Cause;
pub(crate) use interpreter::{END, Messages, Prediction, ROUNDS, run};
