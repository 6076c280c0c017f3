//! Permits, and those who wait for one: what locks and semaphores are made of.
//!
//! One word says all that an uncontended operation has to know:
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | somebody is in the queue |
//! | 1 to 31 | permits *granted*: given to waiters that have not run since; counted in one-threaded loops only |
//! | 32 to 63 | permits that are free |
//!
//! While nobody waits, acquiring and releasing are one exchange each. With somebody in the queue, everything but taking a
//! granted permit happens under the queue's mutex, and a permit that is released goes to the next by way of its node: the
//! word does not change.
//!
//! Where all is done in one order, asyncio's, a free permit is no newcomer's while a waiter has been granted one and has not run, and
//! newcomers queue behind it. Elsewhere nobody could tell.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Waker, ready};

use kumihimo_context::model::{Made, atomic};
use kumihimo_context::{Leaf, in_order};
use pin_project_lite::pin_project;

use crate::crowd::whole;
use crate::sync::{AtomicU64, Mutex, const_unless_loom};
use crate::waiters::{Node, Picked, Waiters, still_waits, wake_each};

/// Somebody is in the queue. Changes under the mutex only.
const QUEUED: u64 = 1;
/// One granted permit.
const GRANTED: u64 = 1 << 1;
const GRANTED_MASK: u64 = FREE - GRANTED;
/// One free permit.
const FREE: u64 = 1 << 32;

/// So many permits fit.
pub(crate) const MAX_PERMITS: usize = u32::MAX as usize;

/// Who is next when a permit is free and the first in the queue was cancelled, but has not run since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nobody until it has run: asyncio's lock.
    Waits,
    /// The first that was not cancelled: asyncio's semaphore.
    IsFound,
}

#[derive(Debug)]
pub struct Permits {
    /// See the module.
    word: AtomicU64,
    next: Next,
    waiters: Mutex<Waiters>,
}

/// There are as many permits as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// What can be seen of permits at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) free: usize,
    pub(crate) granted: usize,
    pub(crate) waiting: usize,
}

impl Permits {
    const_unless_loom! {
        /// Permits of which so many, at most `MAX_PERMITS`, are free.
        pub(crate) const fn new(free: usize, next: Next, made: Made) -> Permits {
            Permits { word: AtomicU64::new(free as u64 * FREE), next, waiters: Mutex::new(Waiters::new(made)) }
        }
    }

    /// Takes a permit if one is free and nobody is before us.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        let _atomic = atomic();
        // Relaxed: a guess, which the exchange verifies.
        let mut word = self.word.load(Relaxed);
        loop {
            if word < FREE || word & GRANTED_MASK != 0 {
                return false;
            }
            if word & QUEUED != 0 {
                return self.try_acquire_past_cancelled();
            }
            // Acquire: pairs with the Release of who gave the permit back.
            match self.word.compare_exchange_weak(word, word - FREE, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
    }

    #[cold]
    fn try_acquire_past_cancelled(&self) -> bool {
        let waiters = self.waiters.lock();
        self.take_past(&waiters).is_ok()
    }

    /// Takes a free permit if everybody in the queue was cancelled. Gives the word that it could not be taken from.
    fn take_past(&self, waiters: &Waiters) -> Result<(), u64> {
        // Relaxed: as in `try_acquire`.
        let mut word = self.word.load(Relaxed);
        while word >= FREE && word & GRANTED_MASK == 0 && waiters.all_cancelled() {
            // Acquire: pairs with the Release of who gave the permit back.
            match self.word.compare_exchange_weak(word, word - FREE, Acquire, Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
        Err(word)
    }

    /// Gives a permit back, or one that there was not before, unless so many are free.
    #[inline]
    pub(crate) fn release(&self, limit: usize) -> Result<(), TooMany> {
        let _atomic = atomic();
        // Relaxed: a guess, which the exchange verifies.
        let mut word = self.word.load(Relaxed);
        loop {
            if word / FREE >= limit as u64 {
                return Err(TooMany);
            }
            if word & QUEUED != 0 {
                return self.release_to_waiters(limit);
            }
            // Release: what was done with the permit is seen by who acquires it.
            match self.word.compare_exchange_weak(word, word + FREE, Release, Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
    }

    #[cold]
    fn release_to_waiters(&self, limit: usize) -> Result<(), TooMany> {
        let mut waiters = self.waiters.lock();
        // Relaxed: while somebody is in the queue, free permits change under the mutex only; if not, `hand_on` counts anew.
        if self.word.load(Relaxed) / FREE >= limit as u64 {
            return Err(TooMany);
        }
        let waker = self.hand_on(&mut waiters, limit);
        drop(waiters);
        if let Some(waker) = waker? {
            waker.wake();
        }
        Ok(())
    }

    /// Gives a permit that is nobody's to who is next, whom the caller wakes without the lock; or to the free ones.
    fn hand_on(&self, waiters: &mut Waiters, limit: usize) -> Result<Option<Waker>, TooMany> {
        if let Some(picked) = self.pick(waiters) {
            return Ok(Some(self.give(picked, waiters, 0)));
        }
        // Release: as in `release`.
        let add = |word| (word / FREE < limit as u64).then(|| word + FREE);
        self.word.fetch_update(Release, Relaxed, add).map_err(|_| TooMany)?;
        Ok(None)
    }

    fn pick(&self, waiters: &mut Waiters) -> Option<Picked> {
        match self.next {
            Next::Waits => waiters.pick_first(),
            Next::IsFound => waiters.pick_next(),
        }
    }

    /// Gives a permit to a waiter; so many leave the free ones.
    fn give(&self, picked: Picked, waiters: &Waiters, free: u64) -> Waker {
        let counted = in_order();
        let less = free + if waiters.is_empty() { QUEUED } else { 0 };
        let more = if counted { GRANTED } else { 0 };
        if less != more {
            // Relaxed: what is given goes with the node. A free permit was seen by who queued behind it, under the mutex; and
            // what others released into the word stays in it.
            self.word.fetch_add(more.wrapping_sub(less), Relaxed);
        }
        if counted { picked.choose_counted() } else { picked.choose() }
    }

    /// Gives a free permit to who is next; the caller wakes it, without the lock.
    #[must_use]
    fn grant(&self, waiters: &mut Waiters) -> Option<Waker> {
        // Relaxed: with somebody in the queue only who holds the mutex takes free permits.
        if self.word.load(Relaxed) < FREE {
            return None;
        }
        let picked = self.pick(waiters)?;
        Some(self.give(picked, waiters, FREE))
    }

    /// Grants permits for as long as there are some, and somebody to grant them to.
    #[cold]
    fn grant_all(&self) {
        wake_each(self.grants());
    }

    fn grants(&self) -> impl Iterator<Item = Waker> {
        iter::from_fn(|| self.grant(&mut self.waiters.lock()))
    }

    /// The owner of a chosen node takes its permit.
    #[inline]
    fn take_granted(&self, node: &Node) {
        let counted = node.is_counted();
        node.reset();
        if counted {
            self.take_counted();
        }
    }

    fn take_counted(&self) {
        // Relaxed: what was given came with the node.
        let before = self.word.fetch_sub(GRANTED, Relaxed);
        if before & QUEUED != 0 && before >= FREE {
            // They queued behind us though a permit was free.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.grant_all())) {
                // Nobody comes to have our permit.
                let _ = catch_unwind(AssertUnwindSafe(|| self.release(MAX_PERMITS)));
                resume_unwind(panic);
            }
        }
    }

    /// Queues a waiter, unless there is a permit for it by now: true then.
    ///
    /// # Safety
    ///
    /// As for [`Waiters::push`]; the node is taken out by [`give_up`](Self::give_up).
    unsafe fn queue(&self, node: &Node, waker: Waker) -> bool {
        let mut waiters = self.waiters.lock();
        loop {
            let Err(word) = self.take_past(&waiters) else { return true };
            if word & (QUEUED | GRANTED_MASK) == QUEUED {
                // As long as that is so, the word changes under the mutex only.
                break;
            }
            // From here on, who releases, or takes what was granted, finds us: nothing came free since `word` was seen.
            // Acquire: if a permit is free, pairs with the Release of who gave it back, for whomever it is granted to.
            let queued = self.word.compare_exchange_weak(word, word | QUEUED, Acquire, Relaxed);
            if queued.is_ok() {
                break;
            }
        }
        // SAFETY: as the caller says.
        unsafe { waiters.push(node, waker) };
        false
    }

    /// A waiter gives up: what it was granted goes to the next.
    ///
    /// # Safety
    ///
    /// The node was queued here.
    #[cold]
    unsafe fn give_up(&self, node: &Node) {
        let mut waiters = self.waiters.lock();
        // SAFETY: as the caller says.
        let removed = unsafe { waiters.remove(node) };
        let counted = removed.chosen && node.is_counted();
        // Before anybody is woken: that may panic, and what was given up is not to be given up again.
        node.reset();
        let mut waker = None;
        if removed.chosen {
            if counted {
                // Relaxed: what it was given was given under the mutex.
                self.word.fetch_sub(GRANTED, Relaxed);
            }
            // No limit: it is one of those that there were.
            waker = self.hand_on(&mut waiters, MAX_PERMITS).ok().flatten();
        } else if waiters.is_empty() {
            // Relaxed: under the mutex; nothing is published.
            self.word.fetch_and(!QUEUED, Relaxed);
        }
        drop(waiters);
        wake_each(waker.into_iter().chain(self.grants()));
    }

    /// Whether nobody could acquire at once.
    pub(crate) fn locked(&self) -> bool {
        // Acquire: who acts on the answer sees what was done before.
        let word = self.word.load(Acquire);
        word < FREE
            || word & GRANTED_MASK != 0
            || (word & QUEUED != 0 && !self.waiters.lock().all_cancelled())
    }

    /// Whether a permit is neither free nor granted, of one.
    pub(crate) fn is_held(&self) -> bool {
        // Acquire: as for `locked`.
        let word = self.word.load(Acquire);
        word < FREE && word & GRANTED_MASK == 0
    }

    pub(crate) fn look(&self) -> Seen {
        let waiters = self.waiters.lock();
        // Relaxed: numbers for people.
        let word = self.word.load(Relaxed);
        Seen {
            free: (word / FREE) as usize,
            granted: (word % FREE / GRANTED) as usize,
            waiting: waiters.waiting(),
        }
    }
}

pin_project! {
    /// Acquiring a permit, whose owner keeps the [`Permits`].
    #[derive(Debug)]
    pub(crate) struct Acquiring {
        leaf: Leaf,
        #[pin]
        node: Node,
    }
}

impl Acquiring {
    pub(crate) fn new() -> Acquiring {
        Acquiring { leaf: Leaf::new(), node: Node::new() }
    }

    /// Ready once a permit is ours; then it may begin again.
    ///
    /// # Safety
    ///
    /// It is always polled with the same permits, and [given up](Self::give_up) before it is dropped.
    #[inline]
    pub(crate) unsafe fn poll(self: Pin<&mut Self>, permits: &Permits, cx: &mut Context<'_>) -> Poll<()> {
        let _atomic = atomic();
        let this = self.project();
        ready!(this.leaf.enter(cx));
        let node = this.node.into_ref().get_ref();
        if node.is_chosen() {
            permits.take_granted(node);
        } else if node.is_waiting() || !permits.try_acquire() {
            // SAFETY: as the caller says.
            if !unsafe { wait(permits, node, cx) } {
                this.leaf.wait_at(node.place());
                return Poll::Pending;
            }
        }
        this.leaf.done();
        Poll::Ready(())
    }

    /// Gives up: waits no longer, and what was granted goes to the next.
    ///
    /// # Safety
    ///
    /// It was polled with these permits, if at all.
    #[inline]
    pub(crate) unsafe fn give_up(self: Pin<&mut Self>, permits: &Permits) {
        let _atomic = atomic();
        let this = self.project();
        if this.node.is_waiting() {
            // SAFETY: as the caller says.
            unsafe { permits.give_up(&this.node) };
        }
        this.leaf.done();
    }
}

/// Queues a node, or sees to it that it wakes the right one; true if it has a permit instead.
///
/// # Safety
///
/// The node is pinned, used with these permits only, and given up before it is dropped.
#[cold]
unsafe fn wait(permits: &Permits, node: &Node, cx: &Context<'_>) -> bool {
    if !node.is_waiting() {
        // SAFETY: as the caller says. The waker is cloned before the lock is taken: it may be anybody's, and do anything.
        return unsafe { permits.queue(node, cx.waker().clone()) };
    }
    // SAFETY: it was queued here.
    if unsafe { still_waits(&permits.waiters, whole, node, cx) } {
        // It may have been passed over as cancelled, and yet go on: by a reference, say, that outlives a time-out.
        if in_order() {
            permits.grant_all();
        }
        if !node.is_chosen() {
            return false;
        }
    }
    permits.take_granted(node);
    true
}
