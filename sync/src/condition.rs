//! `Condition`: waiting, under a lock, for somebody to say that something has changed.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::model::{Made, atomic};
use kumihimo_context::{CancelledError, Forward, Scoped, scope};
use pin_project_lite::pin_project;

use crate::blocking::block_on;
use crate::crowd::{Crowd, Waiting, whole};
use crate::lock::{Acquire, Lock, LockStatistics};
use crate::lock_guard::LockGuard;
use crate::permits::Acquiring;

/// A lock, and a queue of those who wait for a change of what it guards: asyncio's `Condition`.
///
/// Who holds the lock [waits](Self::wait), which releases it, until somebody who holds it [notifies](Self::notify); then it has
/// the lock again. As a wait may end though what it waited for has not come (somebody else was faster), it stands in a loop:
/// [`wait_for`](Self::wait_for) and [`wait_until`](Self::wait_until) are that.
///
/// Several conditions may [share](Self::with_lock) one lock. It works on any executor, and in plain threads with the
/// `blocking_` forms.
///
/// ```
/// use std::sync::Arc;
/// use kumihimo_sync::Condition;
///
/// let ready = Arc::new(Condition::with_value(false));
/// let waiting = std::thread::spawn({
///     let ready = ready.clone();
///     move || {
///         let mut guard = ready.blocking_acquire();
///         while !*guard {
///             ready.blocking_wait(&mut guard);
///         }
///     }
/// });
/// # futures_lite::future::block_on(async {
/// let mut guard = ready.acquire().await;
/// *guard = true;
/// ready.notify_all();
/// # });
/// waiting.join().unwrap();
/// ```
#[doc(alias = "asyncio.Condition")]
#[doc(alias = "Condvar")]
pub struct Condition<T: ?Sized = ()> {
    lock: Arc<Lock<T>>,
    crowd: Arc<Crowd>,
}

/// What can be seen of a [`Condition`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionStatistics {
    /// So many wait to be notified. Not those who were, and wait for the lock.
    pub waiting: usize,
    /// Of its lock.
    pub lock: LockStatistics,
}

impl Condition {
    /// A condition with a lock of its own.
    #[doc(alias = "asyncio.Condition")]
    #[cfg_attr(kumihimo_loom, track_caller)]
    pub fn new() -> Condition {
        Condition::with_value(())
    }
}

impl<T> Condition<T> {
    /// A condition with a lock of its own, around a value.
    #[cfg_attr(kumihimo_loom, track_caller)]
    pub fn with_value(value: T) -> Condition<T> {
        Condition::with_lock(Arc::new(Lock::with_value(value)))
    }
}

impl<T: ?Sized> Condition<T> {
    /// A condition on a lock that others use as well.
    #[cfg_attr(kumihimo_loom, track_caller)]
    pub fn with_lock(lock: Arc<Lock<T>>) -> Condition<T> {
        Condition::made(lock, Made::here("a notification of the condition"))
    }

    pub(crate) fn made(lock: Arc<Lock<T>>, made: Made) -> Condition<T> {
        Condition { lock, crowd: Arc::new(Crowd::new(made)) }
    }

    /// Its lock.
    pub fn lock(&self) -> &Arc<Lock<T>> {
        &self.lock
    }

    /// Acquires its lock: see [`Lock::acquire`].
    #[doc(alias = "asyncio.Condition.acquire")]
    pub fn acquire(&self) -> Acquire<'_, T> {
        self.lock.acquire()
    }

    /// Acquires its lock if that can be done at once.
    pub fn try_acquire(&self) -> Option<LockGuard<'_, T>> {
        self.lock.try_acquire()
    }

    /// Acquires its lock, blocking this thread for as long: see [`Lock::blocking_acquire`].
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_acquire(&self) -> LockGuard<'_, T> {
        self.lock.blocking_acquire()
    }

    /// Whether somebody holds its lock: see [`Lock::locked`].
    #[doc(alias = "asyncio.Condition.locked")]
    pub fn locked(&self) -> bool {
        self.lock.locked()
    }

    /// Releases the lock, waits to be notified, and has the lock again.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting, has the lock again before the cancellation leaves this await: clean-up around it runs with
    /// the lock held, as in asyncio. Another waiter is notified instead. Several requests while the lock is being awaited end in
    /// one cancellation, the last.
    ///
    /// A future that other code drops (`select!`) can't wait for the lock: the guard then [holds](LockGuard::is_held) nothing.
    ///
    /// # Panics
    ///
    /// If the guard is of another lock, or holds it no longer.
    #[doc(alias = "asyncio.Condition.wait")]
    #[track_caller]
    pub fn wait<'a, 'g>(&'a self, guard: &'a mut LockGuard<'g, T>) -> ConditionWait<'a, 'g, T> {
        assert!(
            std::ptr::addr_eq(LockGuard::lock(guard), Arc::as_ptr(&self.lock)),
            "waiting on a condition with the guard of another lock: acquire the condition's"
        );
        assert!(
            LockGuard::is_held(guard),
            "waiting on a condition with a guard that does not hold its lock, as an earlier wait with it was dropped: acquire \
             the lock anew"
        );
        ConditionWait {
            condition: self,
            guard,
            stage: Stage::Begins,
            waiting: Waiting::new(),
            acquiring: Acquiring::new(),
            error: None,
            forward: Forward::new(),
        }
    }

    /// [Waits](Self::wait) until a predicate holds; not at all if it does.
    ///
    /// The predicate is called with the lock held. Where what it looks at is in the lock, use [`wait_until`](Self::wait_until).
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    #[doc(alias = "asyncio.Condition.wait_for")]
    pub async fn wait_for(&self, guard: &mut LockGuard<'_, T>, mut predicate: impl FnMut() -> bool) {
        while !predicate() {
            self.wait(guard).await;
        }
    }

    /// [Waits](Self::wait) until a function of the value gives something, and gives that.
    ///
    /// # Cancellation
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// ```
    /// use kumihimo_sync::Condition;
    ///
    /// # futures_lite::future::block_on(async {
    /// let stack = Condition::with_value(vec![1]);
    /// let mut guard = stack.acquire().await;
    /// assert_eq!(stack.wait_until(&mut guard, |stack| stack.pop()).await, 1);
    /// # });
    /// ```
    #[doc(alias = "asyncio.Condition.wait_for")]
    pub async fn wait_until<R>(
        &self,
        guard: &mut LockGuard<'_, T>,
        mut predicate: impl FnMut(&mut T) -> Option<R>,
    ) -> R {
        loop {
            if let Some(value) = predicate(guard) {
                return value;
            }
            self.wait(guard).await;
        }
    }

    /// As [`wait`](Self::wait), blocking this thread for as long.
    ///
    /// # Panics
    ///
    /// As for [`wait`](Self::wait); and in a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_wait(&self, guard: &mut LockGuard<'_, T>) {
        block_on(self.wait(guard));
    }

    /// Wakes so many of those who wait, in the order in which they came; they run one after another, as they get the lock, the
    /// first once it is released.
    ///
    /// All are woken when this returns. Where nobody waits, the notification is lost.
    ///
    /// # Panics
    ///
    /// If nobody holds the lock, as [`locked`](Self::locked) says: what was changed without it, a waiter may have missed.
    #[doc(alias = "asyncio.Condition.notify")]
    #[track_caller]
    pub fn notify(&self, count: usize) {
        let _atomic = atomic();
        self.check_locked();
        self.crowd.notify(count);
    }

    /// Wakes all who wait; they run one after another, as they get the lock.
    ///
    /// Where there are more than a few hundred, in a multi-threaded loop, most are woken by a task of its own, as by
    /// [`Event::set`](crate::Event::set); all count as woken when this returns.
    ///
    /// # Panics
    ///
    /// If nobody holds the lock, as [`locked`](Self::locked) says.
    #[doc(alias = "asyncio.Condition.notify_all")]
    #[track_caller]
    pub fn notify_all(&self) {
        let _atomic = atomic();
        self.check_locked();
        self.notify_all_unlocked();
    }

    /// The same, also where the lock is free.
    pub(crate) fn notify_all_unlocked(&self) {
        self.crowd.notify_all();
    }

    #[track_caller]
    fn check_locked(&self) {
        assert!(
            self.locked(),
            "notifying a condition whose lock nobody holds: acquire it, change what it guards, and notify before it is released"
        );
    }

    /// How many wait, and the state of the lock.
    pub fn statistics(&self) -> ConditionStatistics {
        ConditionStatistics { waiting: self.crowd.0.lock().waiting(), lock: self.lock.statistics() }
    }
}

impl<T: Default> Default for Condition<T> {
    fn default() -> Condition<T> {
        Condition::with_value(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Condition<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("lock", &self.lock)
            .field("waiting", &self.statistics().waiting)
            .finish()
    }
}

/// How far a wait has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not polled; the lock is held.
    Begins,
    /// The lock is released; waits to be notified.
    Waits,
    /// Was notified, or cancelled: waits for the lock.
    Acquires,
    /// Has the lock, and raises what it was cancelled with.
    Raises,
    /// Has the lock.
    Over,
}

pin_project! {
    /// See [`Condition::wait`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ConditionWait<'a, 'g, T: ?Sized> {
        condition: &'a Condition<T>,
        guard: &'a mut LockGuard<'g, T>,
        stage: Stage,
        #[pin]
        waiting: Waiting,
        #[pin]
        acquiring: Acquiring,
        // What it will raise.
        error: Option<CancelledError>,
        // Owes the request that cancelled it.
        forward: Forward,
    }

    impl<T: ?Sized> PinnedDrop for ConditionWait<'_, '_, T> {
        fn drop(this: Pin<&mut Self>) {
            let _atomic = atomic();
            let this = this.project();
            let (acquiring, permits) = (this.acquiring, &this.condition.lock.permits);
            // Whom it wakes may panic. SAFETY: it was polled with these permits only.
            let given_up = catch_unwind(AssertUnwindSafe(|| unsafe { acquiring.give_up(permits) }));
            // SAFETY: it was polled with this list only.
            let removed = unsafe { this.waiting.give_up(&this.condition.crowd.0, whole) };
            // What it was notified of, or may have been, is another's.
            if removed.chosen || *this.stage == Stage::Acquires {
                this.condition.crowd.notify(1);
            }
            if let Err(panic) = given_up {
                resume_unwind(panic);
            }
        }
    }
}

impl<T: ?Sized> Future for ConditionWait<'_, '_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _atomic = atomic();
        let mut this = self.project();
        let (crowd, permits) = (&this.condition.crowd, &this.condition.lock.permits);
        if *this.stage == Stage::Begins {
            ready!(this.waiting.as_mut().enter(cx));
            let waker = cx.waker().clone();
            // SAFETY: it is not waiting, it waits in this list, and `drop` gives it up.
            unsafe { this.waiting.as_mut().begin(&mut crowd.0.lock(), waker) };
            // Not before it is in the list: who gets the lock now may notify at once.
            *this.stage = Stage::Waits;
            this.guard.release();
            return Poll::Pending;
        }
        if *this.stage == Stage::Waits {
            let polled = scope(|| {
                ready!(this.waiting.as_mut().enter(cx));
                // SAFETY: it has begun in this list.
                unsafe { this.waiting.as_mut().poll(&crowd.0, whole, cx) }
            });
            match polled {
                Scoped::Pending => return Poll::Pending,
                Scoped::Ready(()) => {}
                Scoped::Cancelled(error) => {
                    this.forward.owe(&error);
                    *this.error = Some(error);
                    // Whether it was notified makes no difference: another is, in the end.
                    // SAFETY: it has begun in this list.
                    let _ = unsafe { this.waiting.as_mut().give_up(&crowd.0, whole) };
                }
            }
            *this.stage = Stage::Acquires;
        }
        while *this.stage == Stage::Acquires {
            // SAFETY: always these permits, and given up by `drop`.
            match scope(|| unsafe { this.acquiring.as_mut().poll(permits, cx) }) {
                Scoped::Pending => return Poll::Pending,
                Scoped::Ready(()) => {
                    this.guard.regain();
                    *this.stage = if this.error.is_some() { Stage::Raises } else { Stage::Over };
                    if *this.stage == Stage::Raises {
                        crowd.notify(1);
                    }
                }
                Scoped::Cancelled(error) => {
                    this.forward.owe(&error);
                    *this.error = Some(error);
                    // It asks anew.
                    // SAFETY: it was polled with these permits.
                    unsafe { this.acquiring.as_mut().give_up(permits) };
                }
            }
        }
        match this.error {
            Some(error) => pin!(error.clone().raise()).poll(cx).map(|never| never),
            None => Poll::Ready(()),
        }
    }
}

impl<T: ?Sized> fmt::Debug for ConditionWait<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionWait").field("stage", &self.stage).finish_non_exhaustive()
    }
}
