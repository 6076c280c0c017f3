//! Waking, with no lock held and in spite of wakers that panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes and removes all of them. Call it with no lock held that a waker could want.
///
/// A waker may be anybody's; one that panics must not keep the others from being woken.
pub(crate) fn wake_all(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            drop_payload(payload);
        }
    }
}

/// Drops what a foreign waker's panic carried, which the panic hook has reported.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when dropped may carry another one: leaking it is the only end.
        std::mem::forget(again);
    }
}
