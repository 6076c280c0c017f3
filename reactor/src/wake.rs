//! Waking, with no lock held and in spite of wakers that panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes and removes all of them. Call it with no lock held that a waker could want.
///
/// A waker may be anybody's; one that panics must not keep the others from being woken.
pub(crate) fn wake_all(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            // The panic hook has reported it; the payload's own drop could panic again.
            std::mem::forget(payload);
        }
    }
}
