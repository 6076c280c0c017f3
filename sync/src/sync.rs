//! std's primitives, or loom's under `--cfg kumihimo_loom`.

pub(crate) use kumihimo_context::mutex::{Mutex, MutexGuard};

#[cfg(not(kumihimo_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};

    /// Parks the thread that made it.
    pub(crate) struct Parker(std::thread::Thread);

    impl Parker {
        pub(crate) fn new() -> Parker {
            Parker(std::thread::current())
        }

        pub(crate) fn unpark(&self) {
            self.0.unpark();
        }

        /// May return for nothing.
        pub(crate) fn park(&self) {
            std::thread::park();
        }
    }

    /// A cell with loom's interface.
    #[derive(Debug, Default)]
    pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(kumihimo_loom)]
mod imp {
    pub(crate) use kumihimo_context::model::atomic::{AtomicU8, AtomicU64, AtomicUsize};
    pub(crate) use loom::cell::UnsafeCell;

    /// By hand: loom's own `unpark` also lets go a thread that waits for a lock, and forgets its token then.
    pub(crate) struct Parker {
        token: loom::sync::Mutex<bool>,
        given: loom::sync::Condvar,
    }

    impl Parker {
        pub(crate) fn new() -> Parker {
            Parker { token: loom::sync::Mutex::new(false), given: loom::sync::Condvar::new() }
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

/// A `const fn`, which loom's types do not allow.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(kumihimo_loom))]
        $(#[$meta])*
        $vis const fn $($rest)*

        #[cfg(kumihimo_loom)]
        #[track_caller]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_unless_loom;
