//! std's primitives, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
mod imp {
    #[cfg(feature = "process")]
    pub(crate) use std::sync::atomic::AtomicU64;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, fence};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::thread::Builder;
    use std::time::Duration;

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;

    /// Parks the thread that made it.
    pub(crate) struct Parker(std::thread::Thread);

    impl Parker {
        pub(crate) fn new() -> Parker {
            Parker(std::thread::current())
        }

        pub(crate) fn unpark(&self) {
            self.0.unpark();
        }

        pub(crate) fn park_timeout(&self, limit: Duration) {
            std::thread::park_timeout(limit);
        }
    }

    /// A cell with loom's interface.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(kumihimo_loom)]
mod imp {
    pub(crate) use kumihimo_context::model::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, fence};
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use loom::thread::Builder;

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;

    /// The same by hand: loom's own `unpark` also lets go a thread that waits for a lock, and forgets its token then.
    pub(crate) struct Parker {
        token: Mutex<bool>,
        given: Condvar,
    }

    impl Parker {
        pub(crate) fn new() -> Parker {
            Parker { token: Mutex::new(false), given: Condvar::new() }
        }

        pub(crate) fn unpark(&self) {
            *self.token.lock().unwrap() = true;
            self.given.notify_one();
        }

        pub(crate) fn park(&self) {
            let mut token = self.token.lock().unwrap();
            while !std::mem::take(&mut *token) {
                token = self.given.wait(token).unwrap();
            }
        }
    }
}

pub(crate) use imp::*;
