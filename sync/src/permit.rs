//! What a semaphore gives.

use std::fmt;
use std::sync::Arc;

use crate::permits::Permits;
use crate::semaphore::{AnySemaphore, Semaphore};

/// A permit of a [`Semaphore`], which gets it back when this is dropped.
///
/// It may be sent to another task, and dropped there. Where a [`BoundedSemaphore`](crate::BoundedSemaphore) has all its
/// permits already, as somebody released one that was not forgotten, dropping does nothing.
#[must_use = "the permit is given back when it is dropped"]
pub struct Permit<'a> {
    permits: &'a Permits,
    /// So many are free at most.
    limit: usize,
}

impl<'a> Permit<'a> {
    /// One that was acquired.
    #[inline]
    pub(crate) fn new(permits: &'a Permits, limit: usize) -> Permit<'a> {
        Permit { permits, limit }
    }

    /// Keeps the permit from the semaphore: for good, or until somebody calls `release`.
    ///
    /// ```
    /// use kumihimo_sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert!(semaphore.try_acquire().is_none());
    /// semaphore.release();
    /// assert!(semaphore.try_acquire().is_some());
    /// ```
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Too many: somebody else gave it back, see the type.
        let _ = self.permits.release(self.limit);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A permit of a semaphore in an `Arc`, which gets it back when this is dropped.
#[must_use = "the permit is given back when it is dropped"]
pub struct OwnedPermit<S: AnySemaphore = Semaphore> {
    /// Until it is forgotten.
    semaphore: Option<Arc<S>>,
}

impl<S: AnySemaphore> OwnedPermit<S> {
    /// One that was acquired.
    pub(crate) fn new(semaphore: Arc<S>) -> OwnedPermit<S> {
        OwnedPermit { semaphore: Some(semaphore) }
    }

    /// Keeps the permit from the semaphore: for good, or until somebody calls `release`.
    pub fn forget(mut self) {
        self.semaphore = None;
    }
}

impl<S: AnySemaphore> Drop for OwnedPermit<S> {
    fn drop(&mut self) {
        if let Some(semaphore) = &self.semaphore {
            // Too many: as for `Permit`.
            let _ = semaphore.permits().release(semaphore.limit());
        }
    }
}

impl<S: AnySemaphore> fmt::Debug for OwnedPermit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
