//! A timing wheel: keeps any number of deadlines, says which is next, hands out those that are due.
//!
//! [`Wheel`] is a hashed hierarchical timing wheel after G. Varghese and A. Lauck, "Hashed and Hierarchical Timing
//! Wheels" (SOSP 1987). It is a pure data structure: it reads no clock, starts no thread and takes no lock. Time is a
//! `u64`, nanoseconds since whatever moment its user likes, and comes in through [`Wheel::new`] and [`Wheel::turn`].
//!
//! | operation | cost |
//! |---|---|
//! | [`insert`](Wheel::insert), [`cancel`](Wheel::cancel), [`get_mut`](Wheel::get_mut) | O(1), no search; tens of cycles |
//! | [`next_deadline`](Wheel::next_deadline) | a look at one bitmap per level |
//! | [`turn`](Wheel::turn) | sorting what is due, and moving one slot's entries closer |
//!
//! Most timers are time-outs, which are cancelled long before they are due; those cost one `insert` and one `cancel`.
//!
//! What it promises:
//!
//! - **Exact.** A turn hands out the entries whose deadline is at or before `now`, and no other. The width of a slot
//!   (65.5 µs on the finest level) rounds nothing; it is only how finely the wheel sorts ahead of time.
//! - **Ordered.** They come in order of their deadlines, and those of one deadline in order of their insertion.
//! - **Keyed.** A [`Key`] is an index and a generation. A key whose entry is gone finds nothing, so holders of keys need
//!   not be told.
//!
//! ```
//! use kumihimo_timer_wheel::Wheel;
//!
//! let mut wheel = Wheel::new(0);
//! let tea = wheel.insert(180_000_000_000, "the tea is ready");
//! wheel.insert(u64::MAX, "never");
//! wheel.insert(5_000, "soon");
//! assert_eq!(wheel.next_deadline(), Some(5_000));
//!
//! let mut fired = Vec::new();
//! wheel.turn(4_999, &mut fired);
//! assert!(fired.is_empty());
//! wheel.turn(5_000, &mut fired);
//! assert_eq!(fired, [(5_000, "soon")]);
//!
//! assert_eq!(wheel.cancel(tea), Some("the tea is ready"));
//! assert_eq!(wheel.cancel(tea), None);
//! ```

#![forbid(unsafe_code)]

mod slab;
mod slots;
mod wheel;

pub use slab::Key;
pub use wheel::Wheel;
