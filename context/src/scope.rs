//! Catching a cancellation: what `try` blocks are made of.

use std::task::Poll;

use crate::cancelled::CancelledError;
use crate::poll_context::{self, DELIVERING, DISCARDING, RAISING};

/// What came of polling the inside of a scope.
#[derive(Debug)]
pub enum Scoped<T> {
    /// The inside is ready.
    Ready(T),
    /// The inside is suspended.
    Pending,
    /// A cancellation came out of the inside, which the scope must now [`discard`] before it goes on.
    Cancelled(CancelledError),
}

/// Polls the inside of a scope and takes the cancellation that comes out of it.
///
/// A delivery counts if the inside returned `Pending` and nobody in there took it; a raise counts if it began in
/// there: one that a sibling branch began in the same poll passes by.
#[inline]
pub fn scope<T>(poll: impl FnOnce() -> Poll<T>) -> Scoped<T> {
    let mask = Mask::new();
    match poll() {
        Poll::Ready(value) => Scoped::Ready(value),
        Poll::Pending if poll_context::flags() & (DELIVERING | RAISING) == 0 => Scoped::Pending,
        Poll::Pending => mask.caught(),
    }
}

/// Drops what a scope wrapped: forwards in there do not give their requests back to the task.
pub fn discard<T>(drop_inside: impl FnOnce() -> T) -> T {
    let _restore = Restore(poll_context::flags() & DISCARDING, DISCARDING);
    poll_context::set_flags(poll_context::flags() | DISCARDING);
    drop_inside()
}

/// Hides a raise that began outside, and puts it back when dropped.
struct Mask(Restore);

impl Mask {
    #[inline]
    fn new() -> Mask {
        let flags = poll_context::flags();
        poll_context::set_flags(flags & !RAISING);
        Mask(Restore(flags & RAISING, RAISING))
    }

    #[cold]
    fn caught<T>(self) -> Scoped<T> {
        poll_context::set_flags(poll_context::flags() & !(DELIVERING | RAISING));
        let error = CancelledError::new(poll_context::take_message());
        drop(self.0);
        Scoped::Cancelled(error)
    }
}

/// Restores some flags to what they were.
struct Restore(u8, u8);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        let Restore(was, mask) = *self;
        poll_context::set_flags(poll_context::flags() & !mask | was);
    }
}
