//! std's synchronisation, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
pub(crate) use self::std_sync::*;

#[cfg(kumihimo_loom)]
pub(crate) use self::loom_sync::*;

#[cfg(not(kumihimo_loom))]
mod std_sync {
    pub(crate) use crossbeam_deque as deque;
    pub(crate) use std::alloc;
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::{MutexGuard, PoisonError, atomic};
    pub(crate) use std::thread;

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;

    /// A mutex that a panic does not poison: its data is only ever left in a consistent state.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// What a model takes for memory: see loom's.
    #[derive(Debug, Default)]
    pub(crate) struct Memory;

    impl Memory {
        #[inline(always)]
        pub(crate) const fn new() -> Memory {
            Memory
        }

        #[inline(always)]
        pub(crate) fn is_read(&self) {}

        #[inline(always)]
        pub(crate) fn is_written(&self) {}
    }

    /// What a thread waits for under a mutex.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Condvar {
            Condvar(std::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(kumihimo_loom)]
#[path = "loom_models/deque.rs"]
pub(crate) mod deque;

#[cfg(kumihimo_loom)]
mod loom_sync {
    use std::ops::{Deref, DerefMut};

    pub(crate) use crate::model::memory as alloc;
    use kumihimo_context::model::{Atomic, atomic};
    pub(crate) use loom::sync::atomic;
    // loom explores schedules only where threads yield, so a spin is a yield there.
    pub(crate) use loom::thread::yield_now as spin_loop;

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let atomic = atomic();
            MutexGuard(self.0.lock().unwrap(), atomic)
        }
    }

    /// In a user's model, nobody is interrupted while having the lock.
    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(loom::sync::MutexGuard<'a, T>, Atomic);

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

    /// Stands for memory that is made and freed by hand, neither of which is an access to loom: whoever is about to give it up
    /// has used it, and whoever frees it changes it, which must come after.
    #[derive(Debug)]
    pub(crate) struct Memory(loom::cell::UnsafeCell<()>);

    impl Memory {
        pub(crate) fn new() -> Memory {
            Memory(loom::cell::UnsafeCell::new(()))
        }

        pub(crate) fn is_read(&self) {
            self.0.with(|_| ());
        }

        pub(crate) fn is_written(&self) {
            self.0.with_mut(|_| ());
        }
    }

    impl Default for Memory {
        fn default() -> Memory {
            let memory = Memory::new();
            // It is made by whoever shows it to the others.
            memory.is_written();
            memory
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            let MutexGuard(guard, step) = guard;
            drop(step);
            let guard = self.0.wait(guard).unwrap();
            MutexGuard(guard, atomic())
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }

    /// Parking by hand: loom's own `unpark` also lets go a thread that waits for a lock, and forgets its token then.
    pub(crate) mod thread {
        use std::sync::Arc;

        use loom::sync::Notify;
        pub(crate) use loom::thread::{Builder, JoinHandle, yield_now};

        /// A thread's token: given once, taken by the next `park`, which may also return for nothing, once.
        #[derive(Clone)]
        pub(crate) struct Thread(Arc<Notify>);

        loom::thread_local! {
            static CURRENT: Thread = Thread(Arc::new(Notify::new()))
        }

        pub(crate) fn current() -> Thread {
            CURRENT.with(Thread::clone)
        }

        pub(crate) fn park() {
            current().0.wait();
        }

        impl Thread {
            pub(crate) fn unpark(&self) {
                self.0.notify();
            }
        }
    }
}

/// Waits for another thread that is between two instructions; gives up the processor if that thread may have lost its own.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    spins: u32,
}

impl Backoff {
    pub(crate) fn spin(&mut self) {
        self.spins += 1;
        if self.spins.is_multiple_of(64) {
            thread::yield_now();
        }
        spin_loop();
    }
}
