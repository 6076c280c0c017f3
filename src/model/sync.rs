//! Shared state that a model explores: loom's under `--cfg kumihimo_loom`, std's without.
//!
//! Use it in place of std's where code is to be modelled. `loom`'s types are no `const`s, so statics come from
//! [`thread_local!`] only.

#[cfg(kumihimo_loom)]
mod imp {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use loom::thread_local;

    /// Atomic types, and fences.
    pub mod atomic {
        pub use kumihimo_context::model::atomic::*;
    }

    /// Threads.
    pub mod thread {
        use kumihimo_executor::model::foreign::Foreign;
        pub use loom::thread::{JoinHandle, current, park, yield_now};

        /// Starts a thread: one of loom's five.
        #[track_caller]
        pub fn spawn<F, T>(f: F) -> JoinHandle<T>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            let foreign = Foreign::enter();
            loom::thread::spawn(move || {
                let value = f();
                drop(foreign);
                value
            })
        }
    }
}

#[cfg(not(kumihimo_loom))]
mod imp {
    pub use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use std::thread_local;

    /// Atomic types, and fences.
    pub mod atomic {
        pub use std::sync::atomic::*;
    }

    /// Threads.
    pub mod thread {
        pub use std::thread::{JoinHandle, current, park, spawn, yield_now};
    }

    /// A cell whose accesses loom checks, under its cfg.
    ///
    /// ```
    /// use kumihimo::model::sync::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new(1);
    /// // SAFETY: nobody else has the cell.
    /// cell.with_mut(|number| unsafe { *number += 1 });
    /// assert_eq!(cell.into_inner(), 2);
    /// ```
    #[derive(Debug, Default)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell with this value.
        pub const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// Reads: `f` gets a pointer that is valid for reading while it runs, if nobody writes then.
        #[inline]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Writes: `f` gets a pointer that is valid for writing while it runs, if nobody else uses the cell then.
        #[inline]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub use imp::*;
