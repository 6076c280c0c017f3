//! Catching a cancellation: what `try` blocks are made of.

use std::task::Poll;

use crate::cancelled::{CancelMessage, CancelledError};
use crate::poll_context::{self, AGAIN, DELIVERING, DISCARDING, LATE, OWED, RAISING};
use crate::wait::WaitWord;

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

/// As [`scope`], delivering a cancellation to the inside: what a time-out does to what it wraps.
///
/// One that is being delivered from outside already counts for both. `late`: it was requested after the task had been woken.
#[cold]
pub fn deliver_inside<T>(message: CancelMessage, late: bool, poll: impl FnOnce() -> Poll<T>) -> Scoped<T> {
    /// Takes back what nobody inside has taken, on panics too: outside nobody is meant.
    struct TakeBack(bool);

    impl Drop for TakeBack {
        fn drop(&mut self) {
            if self.0 {
                poll_context::set_flags(poll_context::flags() & !DELIVERING);
            }
        }
    }

    let mask = Mask::new();
    let own = TakeBack(!poll_context::delivering());
    if own.0 {
        poll_context::set_message(message);
        let flags = poll_context::flags() & !LATE;
        poll_context::set_flags(flags | DELIVERING | if late { LATE } else { 0 });
    }
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
struct Mask {
    flags: Restore,
    /// What the raise outside carries.
    message: CancelMessage,
    /// Whether the task was to be polled again, and what it waited for, before the inside was polled.
    again: u8,
    wait: WaitWord,
}

impl Mask {
    #[inline]
    fn new() -> Mask {
        let (flags, wait) = poll_context::flags_and_wait();
        if flags & RAISING == 0 {
            return Mask { flags: Restore(0, RAISING | OWED), message: None, again: flags & AGAIN, wait };
        }
        poll_context::set_flags(flags & !(RAISING | OWED));
        let message = poll_context::take_message();
        Mask { flags: Restore(flags & (RAISING | OWED), RAISING | OWED), message, again: flags & AGAIN, wait }
    }

    #[cold]
    fn caught<T>(self) -> Scoped<T> {
        // What is in there is dropped: the task waits for nothing of it, and nobody is left who wants to be polled again.
        poll_context::set_wait(self.wait);
        let flags = poll_context::flags();
        poll_context::set_flags(flags & !(DELIVERING | RAISING | OWED | AGAIN) | self.again);
        let owed = flags & (DELIVERING | OWED) != 0;
        Scoped::Cancelled(CancelledError::caught(poll_context::take_message(), owed))
    }
}

impl Drop for Mask {
    #[inline]
    fn drop(&mut self) {
        if self.flags.0 != 0 {
            poll_context::set_message(self.message.take());
        }
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

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::ptr;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::{UNLIMITED, enter};

    fn raise(message: &str) -> Poll<()> {
        let mut raising = pin!(CancelledError::new(Some(Arc::from(message))).raise());
        raising.as_mut().poll(&mut Context::from_waker(Waker::noop())).map(|never| never)
    }

    fn message_of(scoped: Scoped<()>) -> Option<String> {
        match scoped {
            Scoped::Cancelled(error) => error.message().map(str::to_owned),
            _ => None,
        }
    }

    #[test]
    fn a_raise_outside_passes_a_scope_by_with_its_message() {
        let task = 0_u64;
        // SAFETY: nothing here follows the address.
        let guard = unsafe { enter(ptr::from_ref(&task).cast(), UNLIMITED) };
        let outer = scope(|| {
            assert!(raise("outer").is_pending());
            assert_eq!(message_of(scope(|| raise("inner"))).as_deref(), Some("inner"));
            assert!(matches!(scope(|| Poll::Ready(())), Scoped::Ready(())));
            Poll::Pending
        });
        assert_eq!(message_of(outer).as_deref(), Some("outer"));
        assert!(!guard.ending().cancelled);
    }

    #[test]
    fn a_delivery_that_nobody_takes_is_caught() {
        let task = 0_u64;
        // SAFETY: nothing here follows the address.
        let guard = unsafe { enter(ptr::from_ref(&task).cast(), UNLIMITED) };
        guard.deliver(Some(Arc::from("stop")), false);
        assert_eq!(message_of(scope(|| Poll::Pending)).as_deref(), Some("stop"));
        assert!(!guard.ending().cancelled);
    }
}
