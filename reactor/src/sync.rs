//! std's atomics, locks and thread-locals, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use std::sync::{Mutex, MutexGuard, TryLockError};

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;
}

#[cfg(kumihimo_loom)]
mod imp {
    pub(crate) use kumihimo_context::model::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::TryLockError;

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;
}

#[allow(unused_imports)] // each configuration uses a part
pub(crate) use imp::*;

/// Locks, and goes on where another thread panicked while it held the lock.
///
/// Fit for data that is consistent at every step: no foreign code runs under this crate's locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
