//! Waiters that are woken in numbers: of an event, of a condition.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kumihimo_context::model::Made;
use kumihimo_context::{Leaf, spawn_hidden};
use pin_project_lite::pin_project;

use crate::sync::{Mutex, MutexGuard};
use crate::waiters::{Node, Picked, Removed, Waiters, still_waits, wake_each};

/// So many are woken between two looks at the list.
const BATCH: usize = 32;
/// So many are woken before others get a turn.
const TURN: usize = 8 * BATCH;

/// Lists of waiters of which somebody releases all at once.
pub(crate) trait Crowded {
    /// What the lists stand in.
    type State;

    fn state(&self) -> &Mutex<Self::State>;

    /// The first list in which somebody was released and not told.
    fn released(state: &mut Self::State) -> Option<&mut Waiters>;
}

/// Tells those who were released; all who are left when it is dropped.
pub(crate) struct Telling<C: Crowded> {
    crowded: C,
    /// Everybody was told.
    over: bool,
}

impl<C: Crowded> Telling<C> {
    pub(crate) fn new(crowded: C) -> Telling<C> {
        Telling { crowded, over: false }
    }

    /// Tells all, with the lock that is held first.
    pub(crate) fn all(mut self, held: MutexGuard<'_, C::State>) {
        self.turn(Some(held));
        while !self.over {
            self.turn(None);
        }
    }

    /// Tells some, with the lock that is held, or one that it takes.
    fn turn(&mut self, held: Option<MutexGuard<'_, C::State>>) {
        let mut held = held;
        for _ in 0..TURN / BATCH {
            let mut state = held.take().unwrap_or_else(|| self.crowded.state().lock());
            let mut wakers = [const { None::<Waker> }; BATCH];
            let mut told = 0;
            while told < BATCH
                && let Some(picked) = C::released(&mut state).and_then(Waiters::pick_released)
            {
                wakers[told] = Some(picked.choose());
                told += 1;
            }
            self.over = C::released(&mut state).is_none();
            drop(state);
            wake_each(wakers.into_iter().take(told).flatten());
            if self.over {
                return;
            }
        }
    }
}

impl<C: Crowded> Drop for Telling<C> {
    fn drop(&mut self) {
        while !self.over {
            // A waker's panic is on its way, or would come from nowhere: it is nobody's business but the waker's.
            let _ = catch_unwind(AssertUnwindSafe(|| self.turn(None)));
        }
    }
}

/// One list.
#[derive(Debug)]
pub(crate) struct Crowd(pub(crate) Mutex<Waiters>);

impl Crowd {
    pub(crate) fn new(made: Made) -> Crowd {
        Crowd(Mutex::new(Waiters::new(made)))
    }

    /// Wakes all who wait now. Where they are very many, a task of its own wakes most, so that waking a million holds up nobody.
    pub(crate) fn notify_all(self: &Arc<Self>) {
        let mut waiters = self.0.lock();
        waiters.release_all();
        self.tell(waiters);
    }

    /// Tells those who were released when the lock was held, in order.
    pub(crate) fn tell(self: &Arc<Self>, waiters: MutexGuard<'_, Waiters>) {
        let mut telling = Telling::new(self.clone());
        telling.turn(Some(waiters));
        if telling.over {
            return;
        }
        let rest = Box::pin(poll_fn(move |cx| {
            telling.turn(None);
            if telling.over {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        // Where nobody runs it, it tells the rest as it is dropped.
        drop(spawn_hidden(rest));
    }

    /// Wakes so many, of those who were not cancelled.
    pub(crate) fn notify(self: &Arc<Self>, count: usize) {
        wake_each((0..count).map_while(|_| self.choose_next()));
    }

    fn choose_next(self: &Arc<Self>) -> Option<Waker> {
        loop {
            let mut waiters = self.0.lock();
            if !waiters.has_released() {
                return waiters.pick_next().map(Picked::choose);
            }
            // Others are being told at this moment: they come first.
            drop(waiters);
            drop(Telling::new(self.clone()));
        }
    }
}

impl Crowded for Arc<Crowd> {
    type State = Waiters;

    fn state(&self) -> &Mutex<Waiters> {
        &self.0
    }

    fn released(waiters: &mut Waiters) -> Option<&mut Waiters> {
        waiters.has_released().then_some(waiters)
    }
}

/// The list is all that the mutex holds.
pub(crate) fn whole(waiters: &mut Waiters) -> &mut Waiters {
    waiters
}

pin_project! {
    /// Waiting in a [`Crowd`], which the owner keeps.
    #[derive(Debug)]
    pub(crate) struct Waiting {
        leaf: Leaf,
        #[pin]
        node: Node,
    }
}

impl Waiting {
    pub(crate) fn new() -> Waiting {
        Waiting { leaf: Leaf::new(), node: Node::new() }
    }

    /// Whether it may look for its end in this poll: comes before [`poll`](Self::poll).
    #[inline]
    pub(crate) fn enter(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        self.project().leaf.enter(cx)
    }

    /// Whether it is in the list, or was chosen.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.node.is_waiting()
    }

    /// It has its end without waiting, or again after it has waited.
    #[inline]
    pub(crate) fn end(self: Pin<&mut Self>) {
        self.project().leaf.done();
    }

    /// Begins to wait.
    ///
    /// # Safety
    ///
    /// It is not waiting, is polled with the list that this is from now on, and [given up](Self::give_up) before it is dropped.
    pub(crate) unsafe fn begin(self: Pin<&mut Self>, waiters: &mut Waiters, waker: Waker) {
        let this = self.project();
        // SAFETY: as the caller says.
        unsafe { waiters.push(&this.node, waker) };
        this.leaf.wait_at(this.node.place());
    }

    /// It has begun: ready once it was notified. Then it may begin again.
    ///
    /// # Safety
    ///
    /// The list is the one that it has [begun](Self::begin) to wait in.
    #[inline]
    pub(crate) unsafe fn poll<T>(
        self: Pin<&mut Self>,
        mutex: &Mutex<T>,
        list: impl Fn(&mut T) -> &mut Waiters,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let this = self.project();
        // SAFETY: it was put into this list.
        if !this.node.is_chosen() && unsafe { still_waits(mutex, list, &this.node, cx) } {
            this.leaf.wait_at(this.node.place());
            return Poll::Pending;
        }
        this.node.reset();
        Poll::Ready(())
    }

    /// Waits no longer. It was chosen if it had been notified, and has not come to know of it.
    ///
    /// # Safety
    ///
    /// It was polled with this list, if at all.
    pub(crate) unsafe fn give_up<T>(
        self: Pin<&mut Self>,
        mutex: &Mutex<T>,
        list: impl Fn(&mut T) -> &mut Waiters,
    ) -> Removed {
        let this = self.project();
        this.leaf.done();
        if !this.node.is_waiting() {
            return Removed::default();
        }
        let mut state = mutex.lock();
        // SAFETY: it was put into this list.
        let removed = unsafe { list(&mut state).remove(&this.node) };
        drop(state);
        this.node.reset();
        removed
    }
}
