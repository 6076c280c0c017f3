//! std's synchronisation, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
mod imp {
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard};

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;
}

#[cfg(kumihimo_loom)]
mod imp {
    use std::ops::{Deref, DerefMut};
    use std::sync::LockResult;

    use kumihimo_context::model::{Atomic, atomic};
    pub(crate) use loom::sync::atomic::AtomicBool;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            let atomic = atomic();
            Ok(MutexGuard(self.0.lock().expect("loom's locks are never poisoned"), atomic))
        }
    }

    /// In a user's model, nobody is interrupted while having the lock.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>, #[allow(dead_code)] Atomic);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;
}

pub(crate) use imp::*;
