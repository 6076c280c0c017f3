//! std's synchronisation, or loom's under `--cfg kumihimo_loom`.

pub(crate) use kumihimo_context::mutex::{Condvar, Mutex, MutexGuard};

#[cfg(not(kumihimo_loom))]
pub(crate) use self::std_sync::*;

#[cfg(kumihimo_loom)]
pub(crate) use self::loom_sync::*;

#[cfg(not(kumihimo_loom))]
mod std_sync {
    pub(crate) use crossbeam_deque as deque;
    pub(crate) use std::alloc;
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;

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
}

#[cfg(kumihimo_loom)]
#[path = "loom_models/deque.rs"]
pub(crate) mod deque;

#[cfg(kumihimo_loom)]
mod loom_sync {
    pub(crate) use crate::model::memory as alloc;
    pub(crate) use kumihimo_context::model::atomic;
    // loom explores schedules only where threads yield, so a spin is a yield there.
    pub(crate) use loom::thread::yield_now as spin_loop;

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;

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
