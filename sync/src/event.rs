//! `Event`: a flag to wait for.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use kumihimo_context::model::{Made, atomic};
use pin_project_lite::pin_project;

use crate::blocking::{self, block_on};
use crate::crowd::{Crowd, Waiting, whole};
use crate::sync::{AtomicUsize, const_unless_loom};

/// The event is set. Never beside `QUEUED`.
const SET: usize = 1;
/// Somebody has queued since it was last set. Changes with the list locked only.
const QUEUED: usize = 2;

/// A flag that tasks wait for: asyncio's `Event`.
///
/// [`set`](Self::set) wakes all who wait, in the order in which they came, also where [`clear`](Self::clear) follows at once.
/// While it is set, waiting is over before it begins.
///
/// It works on any executor, and in plain threads with [`blocking_wait`](Self::blocking_wait). What a thread did before
/// `set` is seen by who has waited.
///
/// ```
/// use std::sync::Arc;
/// use kumihimo_sync::Event;
///
/// let ready = Arc::new(Event::new());
/// let waiting = std::thread::spawn({
///     let ready = ready.clone();
///     move || ready.blocking_wait()
/// });
/// ready.set();
/// waiting.join().unwrap();
/// ```
#[doc(alias = "asyncio.Event")]
pub struct Event {
    /// `SET`, `QUEUED`, or neither.
    word: AtomicUsize,
    /// Made when somebody first waits. Shared with the task that wakes very many.
    crowd: OnceLock<Arc<Crowd>>,
    made: Made,
}

/// What can be seen of an [`Event`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStatistics {
    /// So many wait for it.
    pub waiting: usize,
}

impl Event {
    const_unless_loom! {
        /// An event that is not set.
        #[doc(alias = "asyncio.Event")]
        pub const fn new() -> Event {
            Event { word: AtomicUsize::new(0), crowd: OnceLock::new(), made: Made::here("the event") }
        }
    }

    /// Whether it is set.
    #[inline]
    #[doc(alias = "asyncio.Event.is_set")]
    pub fn is_set(&self) -> bool {
        // Acquire: pairs with the Release in `set`.
        self.word.load(Acquire) == SET
    }

    /// Sets it, and wakes all who wait.
    ///
    /// Where there are more than a few hundred, in a multi-threaded loop, most are woken by a task of its own that gives way
    /// in between; all count as woken when this returns.
    #[doc(alias = "asyncio.Event.set")]
    pub fn set(&self) {
        let _atomic = atomic();
        // Relaxed: a guess, which the exchange verifies.
        let mut word = self.word.load(Relaxed);
        while word & QUEUED == 0 {
            // Release: pairs with the Acquire in `is_set`; also where it is set, as what came before is newer.
            match self.word.compare_exchange_weak(word, SET, Release, Relaxed) {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
        self.set_and_wake();
    }

    #[cold]
    fn set_and_wake(&self) {
        let crowd = self.crowd();
        let mut waiters = crowd.0.lock();
        // Release: as in `set`. Others who set it meanwhile have to wait for the lock.
        self.word.store(SET, Release);
        waiters.release_all();
        crowd.tell(waiters);
    }

    /// Takes it back: who waits from now on, waits until it is set again. Who was woken stays so.
    #[doc(alias = "asyncio.Event.clear")]
    pub fn clear(&self) {
        let _atomic = atomic();
        // Release: pairs with the Acquire in `is_set`, of who waits for somebody to have taken note.
        self.word.fetch_and(!SET, Release);
    }

    /// Waits until it is set; not at all if it is.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting, is forgotten.
    #[doc(alias = "asyncio.Event.wait")]
    pub fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, waiting: Waiting::new() }
    }

    /// Waits until it is set, blocking this thread for as long.
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_wait(&self) {
        blocking::check();
        if !self.is_set() {
            block_on(self.wait());
        }
    }

    /// How many wait.
    pub fn statistics(&self) -> EventStatistics {
        EventStatistics { waiting: self.crowd.get().map_or(0, |crowd| crowd.0.lock().waiting()) }
    }

    fn crowd(&self) -> &Arc<Crowd> {
        self.crowd.get_or_init(|| Arc::new(Crowd::new(self.made)))
    }

    /// Somebody begins to wait. False if the event is set.
    #[cold]
    fn begin(&self, waiting: Pin<&mut Waiting>, cx: &Context<'_>) -> bool {
        // Cloned before the lock is taken: it may be anybody's waker, and do anything.
        let waker = cx.waker().clone();
        let mut waiters = self.crowd().0.lock();
        // Acquire: as for `is_set`.
        let mut word = self.word.load(Acquire);
        while word & SET == 0 {
            // From here on, who sets it takes the lock. Relaxed: nothing is published. Acquire: as for `is_set`.
            match self.word.compare_exchange_weak(word, QUEUED, Relaxed, Acquire) {
                Ok(_) => {
                    // SAFETY: it is not waiting, it waits in this list, and `EventWait::drop` gives it up.
                    unsafe { waiting.begin(&mut waiters, waker) };
                    return true;
                }
                Err(seen) => word = seen,
            }
        }
        false
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventStatistics { waiting } = self.statistics();
        f.debug_struct("Event").field("set", &self.is_set()).field("waiting", &waiting).finish()
    }
}

pin_project! {
    /// See [`Event::wait`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct EventWait<'a> {
        event: &'a Event,
        #[pin]
        waiting: Waiting,
    }

    impl PinnedDrop for EventWait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let _atomic = atomic();
            let this = this.project();
            if let Some(crowd) = this.event.crowd.get() {
                // SAFETY: it was polled with this list only.
                let _was_notified = unsafe { this.waiting.give_up(&crowd.0, whole) };
            }
        }
    }
}

impl Future for EventWait<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _atomic = atomic();
        let mut this = self.project();
        ready!(this.waiting.as_mut().enter(cx));
        if !this.waiting.has_begun() {
            if this.event.is_set() || !this.event.begin(this.waiting.as_mut(), cx) {
                this.waiting.end();
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
        // SAFETY: it has begun in this list.
        ready!(unsafe { this.waiting.as_mut().poll(&this.event.crowd().0, whole, cx) });
        this.waiting.end();
        Poll::Ready(())
    }
}

impl fmt::Debug for EventWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWait").finish_non_exhaustive()
    }
}
