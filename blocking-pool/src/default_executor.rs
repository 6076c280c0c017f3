//! A loop's default executor.

use std::fmt;
use std::ptr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use crate::current::with_copy;
use crate::job::Job;
use crate::shutdown::Shutdown;
use crate::submit_error::{SubmitError, Why};
use crate::sync::{AtomicUsize, Mutex, MutexGuard};
use crate::thread_pool::ThreadPoolExecutor;

/// The thread pool that a loop uses where no executor is named. It can be replaced, and shut down for good.
pub struct DefaultExecutor {
    state: Mutex<State>,
    /// Changes with the state, under its lock, so that threads know whether their copy of it is out of date.
    version: AtomicUsize,
}

struct State {
    /// The pool, also when it is shut down: somebody may have to wait for its end.
    pool: ThreadPoolExecutor,
    /// Nothing is submitted any more, to whichever pool.
    shut_down: bool,
}

/// What a thread knows of its loop's default executor.
pub(crate) struct Copy {
    /// The version that it is a copy of.
    version: usize,
    /// The pool; `None` if it is shut down.
    pool: Option<ThreadPoolExecutor>,
}

impl Copy {
    /// As [`DefaultExecutor::submit`]. Runs no code of the user's.
    #[inline]
    pub(crate) fn submit<F, T>(&self, f: F) -> Result<Job<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match &self.pool {
            #[cfg(kumihimo_loom)]
            Some(_) => Ok(crate::model_thread::start(f)),
            #[cfg(not(kumihimo_loom))]
            Some(pool) => pool.try_submit(f),
            None => Err(SubmitError::new(f, Why::NoDefault)),
        }
    }
}

impl DefaultExecutor {
    /// A default executor that begins as this pool.
    pub fn new(pool: ThreadPoolExecutor) -> DefaultExecutor {
        DefaultExecutor { state: Mutex::new(State { pool, shut_down: false }), version: AtomicUsize::new(0) }
    }

    /// Replaces the pool. The old one lives as long as somebody else has it, and ends its jobs.
    pub fn set(&self, pool: ThreadPoolExecutor) {
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.pool, pool);
        self.changed();
        drop(state);
        drop(old);
    }

    /// The pool; `None` once it was shut down.
    pub fn get(&self) -> Option<ThreadPoolExecutor> {
        self.copy().pool
    }

    /// Submits a function to the pool.
    ///
    /// # Errors
    ///
    /// If the pool takes no more jobs, or the default executor was shut down: the error gives the function back.
    pub fn submit<F, T>(&self, f: F) -> Result<Job<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        with_copy(|here| match here {
            Some((executor, copy)) if ptr::eq(executor, self) => copy.submit(f),
            _ => self.copy().submit(f),
        })
    }

    /// Shuts the pool down, as [`ThreadPoolExecutor::shutdown`] does with `wait`. From now on there is no default
    /// executor, whatever is [set](Self::set).
    pub fn shutdown(&self) -> Shutdown {
        let mut state = self.lock();
        state.shut_down = true;
        self.changed();
        let pool = state.pool.clone();
        drop(state);
        pool.shutdown(true, false)
    }

    /// How many threads the pool has at this moment.
    pub fn threads(&self) -> usize {
        self.lock().pool.threads()
    }

    pub(crate) fn copy(&self) -> Copy {
        let state = self.lock();
        // Relaxed: it changes under the lock only.
        let version = self.version.load(Relaxed);
        Copy { version, pool: (!state.shut_down).then(|| state.pool.clone()) }
    }

    /// Whether the copy is what there is now.
    #[inline]
    pub(crate) fn is_current(&self, copy: &Copy) -> bool {
        // Relaxed: who knows of a change in some other way sees it here as well, by coherence; and what has changed is
        // read under the lock.
        self.version.load(Relaxed) == copy.version
    }

    fn changed(&self) {
        self.version.fetch_add(1, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DefaultExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("DefaultExecutor")
            .field("pool", &state.pool)
            .field("shut_down", &state.shut_down)
            .finish()
    }
}
