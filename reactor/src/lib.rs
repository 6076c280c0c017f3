//! kumihimo's reactor: which descriptors are ready, what time it is, and whom to wake for it.
//!
//! The reactor knows no executor. An executor has workers, each of which [enters](Reactor::enter) the reactor; one of
//! them at a time [turns](Reactor::turn) it, and sleeps in there when there is nothing to do.
//!
//! ```
//! use std::future::Future;
//! use std::pin::pin;
//! use std::task::{Context, Poll, Waker};
//! use std::time::Duration;
//!
//! use kumihimo_reactor::{Async, Instant, Reactor, Turn, sleep};
//!
//! // The smallest executor: one worker, one task, which it polls after each turn.
//! fn run<F: Future>(future: F) -> std::io::Result<F::Output> {
//!     let reactor = Reactor::new(1)?;
//!     let _entered = reactor.enter(0);
//!     let mut future = pin!(future);
//!     loop {
//!         if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
//!             return Ok(output);
//!         }
//!         reactor.turn(Turn::Wait);
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! run(async {
//!     let start = Instant::now();
//!     sleep(Duration::from_millis(5)).await;
//!     assert!(start.elapsed() >= Duration::from_millis(5));
//!
//!     use std::io::{Read, Write};
//!     let (near, far) = std::os::unix::net::UnixStream::pair()?;
//!     let (near, far) = (Async::new(near)?, Async::new(far)?);
//!     far.write_with(|mut far| far.write(b"hello")).await?;
//!     let mut text = [0; 5];
//!     near.read_with(|mut near| near.read(&mut text)).await?;
//!     assert_eq!(&text, b"hello");
//!     Ok(())
//! })?
//! # }
//! ```
//!
//! # A guide to the files
//!
//! | file | what is in there |
//! |---|---|
//! | `reactor.rs` | [`Reactor`]: a turn, in which I/O and time meet; interrupting one |
//! | `interrupt.rs`, `alarm.rs` | the two protocols by which no wake-up of the turning thread is lost |
//! | `current.rs` | which reactor and which worker a thread is |
//! | `async_io.rs` | [`Async`]: operations that wait for a descriptor |
//! | `source.rs`, `readiness.rs` | who waits for a descriptor, and what is known of it |
//! | `registry.rs` | from the key of an event to its source |
//! | `poller.rs` | the one interface to the system, and its two implementations, `epoll_wait.rs` (Linux: edge-triggered, one system call per wait) and `poller_wait.rs` (anywhere: oneshot) |
//! | `instant.rs`, [`clock`] | time, real or driven by a test |
//! | `timers.rs` | a wheel of timers for each worker |
//! | `sleep.rs`, `interval.rs`, `timer.rs` | [`Sleep`], [`Interval`] and [`Timer`] |
//! | `wake.rs`, `sync.rs` | waking in spite of panics; std's primitives or loom's |

mod alarm;
mod async_io;
pub mod clock;
mod current;
#[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
mod epoll_wait;
mod instant;
mod interrupt;
mod interval;
#[cfg(all(test, kumihimo_loom))]
mod loom_models;
#[cfg(kumihimo_loom)]
#[doc(hidden)]
pub mod model;
mod poller;
mod poller_wait;
mod reactor;
mod readiness;
mod registry;
mod sleep;
mod source;
mod sync;
#[cfg(test)]
mod testing;
mod timer;
mod timers;
mod wake;

pub use async_io::Async;
pub use clock::ClockHold;
pub use current::Entered;
pub use instant::Instant;
pub use interval::{Interval, Missed, interval};
#[doc(hidden)]
pub use poller::Backend;
pub use reactor::{Reactor, Turn};
pub use readiness::Direction;
pub use sleep::{Sleep, SleepWith, sleep, sleep_until, sleep_with};
pub use timer::Timer;
