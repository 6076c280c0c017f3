//! The mutex of all crates that run in users' models.

pub use imp::{Condvar, Mutex, MutexGuard};

#[cfg(not(kumihimo_loom))]
mod imp {
    pub use std::sync::MutexGuard;
    use std::sync::PoisonError;

    /// A mutex that a panic does not poison: its data is only ever left in a consistent state.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// One that nobody holds.
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        /// Waits until nobody holds it.
        #[inline]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// What a thread waits for under a mutex.
    #[derive(Debug, Default)]
    pub struct Condvar(std::sync::Condvar);

    impl Condvar {
        /// One that nobody waits for.
        pub const fn new() -> Condvar {
            Condvar(std::sync::Condvar::new())
        }

        /// Lets go of the mutex, and has it again when notified, or for no reason.
        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// Wakes one who waits.
        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        /// Wakes all who wait.
        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(kumihimo_loom)]
mod imp {
    use std::ops::{Deref, DerefMut};

    use crate::model::{Atomic, atomic};

    /// loom's, which in a user's model nobody sees held: having it is one step.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            let step = atomic();
            MutexGuard(self.0.lock().expect("loom's locks are never poisoned"), step)
        }
    }

    // Fields are dropped in order: the lock is free before others have their turn.
    #[derive(Debug)]
    pub struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>, Atomic);

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

    #[derive(Debug, Default)]
    pub struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }

        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            let MutexGuard(guard, step) = guard;
            drop(step);
            MutexGuard(self.0.wait(guard).expect("loom's locks are never poisoned"), atomic())
        }

        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
