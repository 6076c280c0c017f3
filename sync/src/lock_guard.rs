//! What the holder of a lock has.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::lock::Lock;
use crate::permits::MAX_PERMITS;

/// Holds a [`Lock`], and reaches its value; releases it when dropped.
///
/// It may be sent to another task, and dropped there.
#[doc(alias = "asyncio.Lock.release")]
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard<'a, T: ?Sized = ()> {
    lock: &'a Lock<T>,
    /// False while a [`Condition`](crate::Condition) waits, and for good if that wait was dropped.
    held: bool,
    /// It is `Send` and `Sync` as this would be.
    value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> LockGuard<'a, T> {
    /// The lock is ours.
    #[inline]
    pub(crate) fn new(lock: &'a Lock<T>) -> LockGuard<'a, T> {
        LockGuard { lock, held: true, value: PhantomData }
    }

    /// The lock that it holds.
    pub fn lock(guard: &LockGuard<'a, T>) -> &'a Lock<T> {
        guard.lock
    }

    /// Whether it holds the lock: not after a [`Condition::wait`](crate::Condition::wait) with it was dropped unfinished.
    pub fn is_held(guard: &LockGuard<'a, T>) -> bool {
        guard.held
    }

    /// Releases the lock and keeps the guard.
    pub(crate) fn release(&mut self) {
        if std::mem::take(&mut self.held) {
            self.unlock();
        }
    }

    /// The lock is ours again.
    pub(crate) fn regain(&mut self) {
        self.held = true;
    }

    #[inline]
    fn unlock(&self) {
        // There is one permit, and it was ours.
        let released = self.lock.permits.release(MAX_PERMITS);
        debug_assert!(released.is_ok());
    }
}

impl<T: ?Sized> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.held {
            self.unlock();
        }
    }
}

#[cold]
#[track_caller]
fn not_held() -> ! {
    panic!(
        "the guard does not hold its lock: a `Condition::wait` with it was dropped before it had the lock again; acquire the \
         lock anew"
    )
}

impl<T: ?Sized> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        if !self.held {
            not_held();
        }
        // SAFETY: the lock is held, so the value is reached through this guard only.
        self.lock.value.with_mut(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for LockGuard<'_, T> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        if !self.held {
            not_held();
        }
        // SAFETY: the lock is held, so the value is reached through this guard only, which is borrowed.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.held {
            true => f.debug_tuple("LockGuard").field(&&**self).finish(),
            false => f.write_str("LockGuard(<not held>)"),
        }
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Holds a [`Lock`] in an `Arc`; releases it when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub struct OwnedLockGuard<T: ?Sized = ()> {
    lock: Arc<Lock<T>>,
    /// It is `Send` and `Sync` as this would be.
    value: PhantomData<T>,
}

impl<T: ?Sized> OwnedLockGuard<T> {
    /// The lock is ours.
    pub(crate) fn new(lock: Arc<Lock<T>>) -> OwnedLockGuard<T> {
        OwnedLockGuard { lock, value: PhantomData }
    }

    /// The lock that it holds.
    pub fn lock(guard: &OwnedLockGuard<T>) -> &Arc<Lock<T>> {
        &guard.lock
    }
}

impl<T: ?Sized> Drop for OwnedLockGuard<T> {
    fn drop(&mut self) {
        // There is one permit, and it was ours.
        let released = self.lock.permits.release(MAX_PERMITS);
        debug_assert!(released.is_ok());
    }
}

impl<T: ?Sized> Deref for OwnedLockGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so the value is reached through this guard only.
        self.lock.value.with_mut(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for OwnedLockGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, so the value is reached through this guard only, which is borrowed.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedLockGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedLockGuard").field(&&**self).finish()
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedLockGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
