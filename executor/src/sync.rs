//! std's synchronisation, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
pub(crate) use self::std_sync::*;

#[cfg(kumihimo_loom)]
pub(crate) use self::loom_sync::*;

#[cfg(not(kumihimo_loom))]
mod std_sync {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;

    /// A mutex that a panic does not poison: its data is only ever left in a consistent state.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(kumihimo_loom)]
mod loom_sync {
    // loom explores schedules only where threads yield, so a spin is a yield there.
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::thread;
    pub(crate) use loom::thread::yield_now as spin_loop;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}
