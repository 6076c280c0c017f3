//! The lock of a registry shard.
//!
//! Held for a few instructions, by the shard's own worker nearly always. A spin lock is released with a plain store,
//! where a mutex needs an atomic exchange to find out whether somebody sleeps: that is two atomic operations less in the
//! life of a task. Who finds it locked for long gives up its processor, as the holder may have lost its own.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::sync::Backoff;
use crate::sync::atomic::{AtomicBool, Ordering::*};

/// A value behind a spin lock.
pub(crate) struct ShardLock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time at the value, so a value that may be sent may be shared this way.
unsafe impl<T: Send> Sync for ShardLock<T> {}

impl<T> ShardLock<T> {
    pub(crate) fn new(value: T) -> ShardLock<T> {
        ShardLock { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        #[cfg(kumihimo_loom)]
        if kumihimo_context::model::is_on() {
            // Nobody is interrupted while having it, and nobody waits for it: there is nothing to explore.
            return Guard(self, PhantomData, Some(kumihimo_context::model::atomic()));
        }
        // Acquire: pairs with the Release in the guard's drop.
        if self.locked.compare_exchange(false, true, Acquire, Relaxed).is_err() {
            self.lock_slow();
        }
        Guard(
            self,
            PhantomData,
            #[cfg(kumihimo_loom)]
            None,
        )
    }

    #[cold]
    fn lock_slow(&self) {
        let mut backoff = Backoff::default();
        // Acquire: as in `lock`.
        while self.locked.load(Relaxed)
            || self.locked.compare_exchange_weak(false, true, Acquire, Relaxed).is_err()
        {
            backoff.spin();
        }
    }
}

/// The right to the value; shared between threads only if the value may be.
pub(crate) struct Guard<'a, T>(
    &'a ShardLock<T>,
    PhantomData<&'a mut T>,
    /// In a user's model, the step that it is held in.
    #[cfg(kumihimo_loom)]
    Option<kumihimo_context::model::Atomic>,
);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed exclusively.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(kumihimo_loom)]
        if self.2.is_some() {
            return;
        }
        // Release: pairs with the Acquire in `lock`.
        self.0.locked.store(false, Release);
    }
}
