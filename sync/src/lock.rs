//! `Lock`: one holder at a time, in the order of asking.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::model::Made;
use pin_project_lite::pin_project;

use crate::blocking::{self, block_on};
use crate::lock_guard::{LockGuard, OwnedLockGuard};
use crate::permits::{Acquiring, Next, Permits};
use crate::sync::{UnsafeCell, const_unless_loom};

/// A lock for tasks: asyncio's `Lock`, which may hold a value.
///
/// Who asks while it is held waits, and the waiters get it in the order in which they asked: nobody overtakes, not even who
/// has just released it and asks again. It may be held across awaits. Dropping the guard releases it, on every way out, and in
/// any task: there is no owner, and it is not reentrant (asking for a lock that one holds waits for ever).
///
/// `Lock::new()` is asyncio's, and guards what the program says it guards. [`Lock::with_value`] guards a value, which only the
/// holder reaches. A panic of the holder releases the lock and does not poison it.
///
/// It works on any executor, and in plain threads with [`blocking_acquire`](Self::blocking_acquire). Without contention it takes
/// one atomic operation to acquire it, and one to release it.
///
/// ```
/// use std::sync::Arc;
/// use kumihimo_sync::Lock;
///
/// # futures_lite::future::block_on(async {
/// let total = Arc::new(Lock::with_value(0));
/// {
///     let mut total = total.acquire().await;
///     *total += 1; // Awaits are fine here.
/// }
/// assert_eq!(*total.acquire().await, 1);
/// # });
/// ```
#[doc(alias = "asyncio.Lock")]
#[doc(alias = "Mutex")]
pub struct Lock<T: ?Sized = ()> {
    /// One permit.
    pub(crate) permits: Permits,
    pub(crate) value: UnsafeCell<T>,
}

// SAFETY: the lock gives its value to one thread at a time, and away with itself.
unsafe impl<T: ?Sized + Send> Send for Lock<T> {}
// SAFETY: as above: the value is reached through the guard only, which one thread at a time has.
unsafe impl<T: ?Sized + Send> Sync for Lock<T> {}

/// What can be seen of a [`Lock`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatistics {
    /// Somebody holds it, as [`Lock::locked`] says.
    pub locked: bool,
    /// So many wait for it.
    pub waiting: usize,
}

impl Lock {
    const_unless_loom! {
        /// A lock that nobody holds.
        #[doc(alias = "asyncio.Lock")]
        pub const fn new() -> Lock {
            Lock::with_value(())
        }
    }
}

impl<T> Lock<T> {
    const_unless_loom! {
        /// A lock that nobody holds, around a value.
        pub const fn with_value(value: T) -> Lock<T> {
            Lock::made(value, Made::here("the lock"))
        }
    }

    const_unless_loom! {
        pub(crate) const fn made(value: T, made: Made) -> Lock<T> {
            Lock { permits: Permits::new(1, Next::Waits, made), value: UnsafeCell::new(value) }
        }
    }

    /// The value, out of a lock that nobody else has.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    /// Acquires the lock, once those who asked before have had it.
    ///
    /// A lock that nobody holds or waits for is acquired without giving way.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting leaves the queue; if the lock had just been given to it, the next gets it. The same where
    /// the future is dropped.
    #[doc(alias = "asyncio.Lock.acquire")]
    pub fn acquire(&self) -> Acquire<'_, T> {
        Acquire { lock: self, acquiring: Acquiring::new() }
    }

    /// Acquires the lock if that can be done at once.
    ///
    /// ```
    /// use kumihimo_sync::Lock;
    ///
    /// let lock = Lock::new();
    /// let guard = lock.try_acquire().unwrap();
    /// assert!(lock.try_acquire().is_none());
    /// drop(guard);
    /// assert!(lock.try_acquire().is_some());
    /// ```
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self) -> Option<LockGuard<'_, T>> {
        self.permits.try_acquire().then(|| LockGuard::new(self))
    }

    /// Acquires the lock, blocking this thread for as long; in turn with tasks that wait.
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    ///
    /// ```
    /// use kumihimo_sync::Lock;
    ///
    /// static LOCK: Lock<u32> = Lock::with_value(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| *LOCK.blocking_acquire() += 1);
    /// });
    /// assert_eq!(*LOCK.blocking_acquire(), 1);
    /// ```
    #[track_caller]
    pub fn blocking_acquire(&self) -> LockGuard<'_, T> {
        blocking::check();
        match self.try_acquire() {
            Some(guard) => guard,
            None => block_on(self.acquire()),
        }
    }

    /// As [`acquire`](Self::acquire), with a guard that keeps the lock alive and borrows nothing. (A
    /// [`Condition`](crate::Condition) waits with the borrowing guard only.)
    pub fn acquire_owned(self: &Arc<Self>) -> AcquireOwned<T> {
        AcquireOwned { lock: Some(self.clone()), acquiring: Acquiring::new() }
    }

    /// As [`try_acquire`](Self::try_acquire), with a guard that keeps the lock alive and borrows nothing.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedLockGuard<T>> {
        self.permits.try_acquire().then(|| OwnedLockGuard::new(self.clone()))
    }

    /// Whether somebody holds it.
    ///
    /// On several workers, and in threads, a lock that is released while somebody waits goes from hand to hand, and counts as held
    /// throughout. On a `current_thread` loop nobody holds it until the next in line runs, as in asyncio; and nobody else can
    /// acquire it until then.
    #[doc(alias = "asyncio.Lock.locked")]
    pub fn locked(&self) -> bool {
        self.permits.is_held()
    }

    /// The value, of a lock that nobody else has.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: nobody else has the lock.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// Whether it is held, and how many wait.
    ///
    /// ```
    /// use kumihimo_sync::Lock;
    ///
    /// let lock = Lock::new();
    /// let _guard = lock.try_acquire();
    /// assert!(lock.statistics().locked && lock.statistics().waiting == 0);
    /// ```
    pub fn statistics(&self) -> LockStatistics {
        let seen = self.permits.look();
        LockStatistics { locked: seen.free + seen.granted == 0, waiting: seen.waiting }
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Lock<T> {
        Lock::with_value(T::default())
    }
}

impl<T> From<T> for Lock<T> {
    fn from(value: T) -> Lock<T> {
        Lock::with_value(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("Lock");
        match self.try_acquire() {
            Some(guard) => lock.field("value", &&*guard),
            None => lock.field("value", &format_args!("<locked>")),
        };
        lock.field("waiting", &self.statistics().waiting).finish()
    }
}

pin_project! {
    /// See [`Lock::acquire`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Acquire<'a, T: ?Sized> {
        lock: &'a Lock<T>,
        #[pin]
        acquiring: Acquiring,
    }

    impl<T: ?Sized> PinnedDrop for Acquire<'_, T> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // SAFETY: it was polled with these permits only.
            unsafe { this.acquiring.give_up(&this.lock.permits) };
        }
    }
}

impl<'a, T: ?Sized> Future for Acquire<'a, T> {
    type Output = LockGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LockGuard<'a, T>> {
        let this = self.project();
        // SAFETY: always these permits, and given up by `drop`.
        ready!(unsafe { this.acquiring.poll(&this.lock.permits, cx) });
        Poll::Ready(LockGuard::new(this.lock))
    }
}

pin_project! {
    /// See [`Lock::acquire_owned`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct AcquireOwned<T: ?Sized> {
        // Until the guard has it.
        lock: Option<Arc<Lock<T>>>,
        #[pin]
        acquiring: Acquiring,
    }

    impl<T: ?Sized> PinnedDrop for AcquireOwned<T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(lock) = this.lock {
                // SAFETY: it was polled with these permits only.
                unsafe { this.acquiring.give_up(&lock.permits) };
            }
        }
    }
}

impl<T: ?Sized> Future for AcquireOwned<T> {
    type Output = OwnedLockGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OwnedLockGuard<T>> {
        let this = self.project();
        let lock = this.lock.as_ref().expect("polled after its end");
        // SAFETY: always these permits, and given up by `drop`.
        ready!(unsafe { this.acquiring.poll(&lock.permits, cx) });
        Poll::Ready(OwnedLockGuard::new(this.lock.take().expect("it is there")))
    }
}

impl<T: ?Sized> fmt::Debug for Acquire<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for AcquireOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").finish_non_exhaustive()
    }
}
