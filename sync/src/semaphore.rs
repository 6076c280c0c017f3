//! `Semaphore` and `BoundedSemaphore`: so many holders at a time, in the order of asking.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::model::Made;
use pin_project_lite::pin_project;

use crate::blocking::{self, block_on};
use crate::permit::{OwnedPermit, Permit};
use crate::permits::{Acquiring, MAX_PERMITS, Next, Permits};
use crate::sync::const_unless_loom;

/// A number of permits, and a queue of those who wait for one: asyncio's `Semaphore`.
///
/// [`acquire`](Self::acquire) takes a permit, and waits while there is none; dropping the [`Permit`] gives it back, on every way
/// out. Waiters get permits in the order in which they asked: one that is released while somebody waits goes straight to the
/// first of them, and no newcomer can take it.
///
/// A waiter that was given a permit runs a moment later. If *another* permit is free in that moment, a newcomer may take it on
/// several workers, and so be done sooner; on a `current_thread` loop it queues behind the waiter, which is asyncio's order exactly.
///
/// [`release`](Self::release) adds a permit that nobody acquired, above the number in the beginning, too; a
/// [`BoundedSemaphore`] refuses that. A semaphore may begin with none.
///
/// It works on any executor, and in plain threads with [`blocking_acquire`](Self::blocking_acquire). Without contention it takes
/// one atomic operation to take a permit, and one to give it back.
///
/// ```
/// use kumihimo_sync::Semaphore;
///
/// static CONNECTIONS: Semaphore = Semaphore::new(10);
///
/// # futures_lite::future::block_on(async {
/// let permit = CONNECTIONS.acquire().await;
/// // One of ten, at most, at a time.
/// drop(permit);
/// # });
/// ```
#[doc(alias = "asyncio.Semaphore")]
pub struct Semaphore {
    permits: Permits,
}

/// A [`Semaphore`] that never has more permits than in the beginning: asyncio's `BoundedSemaphore`.
///
/// ```
/// use kumihimo_sync::BoundedSemaphore;
///
/// let semaphore = BoundedSemaphore::new(1);
/// let permit = semaphore.try_acquire().unwrap();
/// permit.forget();
/// assert!(semaphore.release().is_ok());
/// assert!(semaphore.release().is_err());
/// ```
#[doc(alias = "asyncio.BoundedSemaphore")]
pub struct BoundedSemaphore {
    permits: Permits,
    /// So many are free at most.
    bound: usize,
}

/// What can be seen of a semaphore at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStatistics {
    /// Permits that are free. Not those that were given to a waiter which has not run since.
    pub value: usize,
    /// So many wait for one.
    pub waiting: usize,
}

/// A [`BoundedSemaphore`] has all its permits: there is nothing to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedTooOften {
    bound: usize,
}

impl fmt::Display for ReleasedTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BoundedSemaphore released too often: all its permits ({}) are free; release what was acquired and forgotten, once",
            self.bound
        )
    }
}

impl std::error::Error for ReleasedTooOften {}

/// Refuses what no semaphore can count.
const fn check(permits: usize) -> usize {
    assert!(
        permits <= MAX_PERMITS,
        "a semaphore has at most `Semaphore::MAX_PERMITS` (4 294 967 295) permits"
    );
    permits
}

impl Semaphore {
    /// A semaphore has at most so many permits.
    pub const MAX_PERMITS: usize = MAX_PERMITS;

    const_unless_loom! {
        /// A semaphore with so many permits; zero is allowed.
        ///
        /// # Panics
        ///
        /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[doc(alias = "asyncio.Semaphore")]
        pub const fn new(permits: usize) -> Semaphore {
            Semaphore { permits: Permits::new(check(permits), Next::IsFound, Made::here("a permit of the semaphore")) }
        }
    }

    /// Adds a permit, which goes to who has waited longest; if nobody waits, it is free.
    ///
    /// What [`acquire`](Self::acquire) gave comes back by dropping it; this is for permits that were
    /// [forgotten](Permit::forget), or that there were not before.
    ///
    /// # Panics
    ///
    /// If there are [`MAX_PERMITS`](Self::MAX_PERMITS) already.
    #[doc(alias = "asyncio.Semaphore.release")]
    #[doc(alias = "add_permits")]
    pub fn release(&self) {
        if self.permits.release(MAX_PERMITS).is_err() {
            panic!(
                "a semaphore has at most `Semaphore::MAX_PERMITS` (4 294 967 295) permits, and all of them are free"
            );
        }
    }
}

impl Default for Semaphore {
    /// With one permit, as in asyncio.
    fn default() -> Semaphore {
        Semaphore::new(1)
    }
}

impl BoundedSemaphore {
    /// A semaphore has at most so many permits.
    pub const MAX_PERMITS: usize = MAX_PERMITS;

    const_unless_loom! {
        /// A semaphore with so many permits, now and at most; zero is allowed.
        ///
        /// # Panics
        ///
        /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        #[doc(alias = "asyncio.BoundedSemaphore")]
        pub const fn new(permits: usize) -> BoundedSemaphore {
            BoundedSemaphore { permits: Permits::new(check(permits), Next::IsFound, Made::here("a permit of the semaphore")), bound: permits }
        }
    }

    /// Gives back a permit that was [forgotten](Permit::forget), to who has waited longest.
    ///
    /// # Errors
    ///
    /// If all permits are free: nothing happens then.
    #[doc(alias = "asyncio.BoundedSemaphore.release")]
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        self.permits.release(self.bound).map_err(|_| ReleasedTooOften { bound: self.bound })
    }
}

impl Default for BoundedSemaphore {
    /// With one permit, as in asyncio.
    fn default() -> BoundedSemaphore {
        BoundedSemaphore::new(1)
    }
}

/// What both kinds have.
macro_rules! acquiring {
    ($semaphore:ident, |$this:ident| $limit:expr) => {
        impl $semaphore {
            /// Takes a permit, once those who asked before have been given theirs.
            ///
            /// Where one is free and nobody is before us, without giving way.
            ///
            /// # Cancellation
            ///
            /// Who is cancelled while waiting leaves the queue; a permit that had just been given to it goes to the next. The
            /// same where the future is dropped.
            ///
            /// ```
            #[doc = concat!("use kumihimo_sync::", stringify!($semaphore), ";")]
            ///
            /// # futures_lite::future::block_on(async {
            #[doc = concat!("let semaphore = ", stringify!($semaphore), "::new(1);")]
            /// let permit = semaphore.acquire().await;
            /// assert!(semaphore.locked());
            /// drop(permit);
            /// assert!(!semaphore.locked());
            /// # });
            /// ```
            #[doc(alias = "asyncio.Semaphore.acquire")]
            pub fn acquire(&self) -> TakePermit<'_> {
                let $this = self;
                TakePermit { permits: &self.permits, limit: $limit, acquiring: Acquiring::new() }
            }

            /// Takes a permit if that can be done at once.
            pub fn try_acquire(&self) -> Option<Permit<'_>> {
                let $this = self;
                self.permits.try_acquire().then(|| Permit::new(&self.permits, $limit))
            }

            /// Takes a permit, blocking this thread for as long; in turn with tasks that wait.
            ///
            /// # Panics
            ///
            /// In a task, whose worker it would block.
            #[track_caller]
            pub fn blocking_acquire(&self) -> Permit<'_> {
                blocking::check();
                match self.try_acquire() {
                    Some(permit) => permit,
                    None => block_on(self.acquire()),
                }
            }

            /// As [`acquire`](Self::acquire), with a permit that keeps the semaphore alive and borrows nothing.
            pub fn acquire_owned(self: &Arc<Self>) -> TakeOwnedPermit<Self> {
                TakeOwnedPermit { semaphore: Some(self.clone()), acquiring: Acquiring::new() }
            }

            /// As [`try_acquire`](Self::try_acquire), with a permit that keeps the semaphore alive and borrows nothing.
            pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedPermit<Self>> {
                self.permits.try_acquire().then(|| OwnedPermit::new(self.clone()))
            }

            /// Whether a permit could not be had at once: there is none, or others are before us.
            #[doc(alias = "asyncio.Semaphore.locked")]
            pub fn locked(&self) -> bool {
                self.permits.locked()
            }

            /// How many permits are free, and how many wait.
            pub fn statistics(&self) -> SemaphoreStatistics {
                let seen = self.permits.look();
                SemaphoreStatistics { value: seen.free, waiting: seen.waiting }
            }
        }

        impl sealed::HasPermits for $semaphore {
            fn permits(&self) -> &Permits {
                &self.permits
            }

            fn limit(&self) -> usize {
                let $this = self;
                $limit
            }
        }

        impl AnySemaphore for $semaphore {}

        impl fmt::Debug for $semaphore {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let SemaphoreStatistics { value, waiting } = self.statistics();
                f.debug_struct(stringify!($semaphore))
                    .field("value", &value)
                    .field("waiting", &waiting)
                    .finish()
            }
        }
    };
}

acquiring!(Semaphore, |_this| MAX_PERMITS);
acquiring!(BoundedSemaphore, |this| this.bound);

/// A [`Semaphore`] or a [`BoundedSemaphore`].
pub trait AnySemaphore: sealed::HasPermits {}

pub(crate) mod sealed {
    use crate::permits::Permits;

    pub trait HasPermits {
        fn permits(&self) -> &Permits;

        /// So many are free at most.
        fn limit(&self) -> usize;
    }
}

pin_project! {
    /// See [`Semaphore::acquire`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct TakePermit<'a> {
        permits: &'a Permits,
        limit: usize,
        #[pin]
        acquiring: Acquiring,
    }

    impl PinnedDrop for TakePermit<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // SAFETY: it was polled with these permits only.
            unsafe { this.acquiring.give_up(this.permits) };
        }
    }
}

impl<'a> Future for TakePermit<'a> {
    type Output = Permit<'a>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit<'a>> {
        let this = self.project();
        // SAFETY: always these permits, and given up by `drop`.
        ready!(unsafe { this.acquiring.poll(this.permits, cx) });
        Poll::Ready(Permit::new(this.permits, *this.limit))
    }
}

pin_project! {
    /// See [`Semaphore::acquire_owned`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct TakeOwnedPermit<S: AnySemaphore> {
        // Until the permit has it.
        semaphore: Option<Arc<S>>,
        #[pin]
        acquiring: Acquiring,
    }

    impl<S: AnySemaphore> PinnedDrop for TakeOwnedPermit<S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(semaphore) = this.semaphore {
                // SAFETY: it was polled with these permits only.
                unsafe { this.acquiring.give_up(semaphore.permits()) };
            }
        }
    }
}

impl<S: AnySemaphore> Future for TakeOwnedPermit<S> {
    type Output = OwnedPermit<S>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OwnedPermit<S>> {
        let this = self.project();
        let semaphore = this.semaphore.as_ref().expect("polled after its end");
        // SAFETY: always these permits, and given up by `drop`.
        ready!(unsafe { this.acquiring.poll(semaphore.permits(), cx) });
        Poll::Ready(OwnedPermit::new(this.semaphore.take().expect("it is there")))
    }
}

impl fmt::Debug for TakePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakePermit").finish_non_exhaustive()
    }
}

impl<S: AnySemaphore> fmt::Debug for TakeOwnedPermit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeOwnedPermit").finish_non_exhaustive()
    }
}
