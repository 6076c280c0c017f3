//! What the handles of a queue share.
//!
//! A queue has two ends with a mutex each, so that who puts and who takes seldom meet: items are put into the *inlet*, and taken out of the
//! *outlet*. Who finds the outlet empty moves all that is in the inlet there at once.
//!
//! - Whatever has to be true of both ends is looked at with both locked, the outlet first.
//! - Who waits for an item queues at the inlet, where the next item will come in; who waits for room, at the outlet.
//! - Each end counts what went through it, and remembers what it last knew of the other's count. Counts only grow (and wrap around), so what
//!   is remembered is at most too low: where a queue seems full, or done, both ends are locked, and tell.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

use kumihimo_context::in_order;
use kumihimo_context::model::Made;

use super::errors::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TooManyDone};
use super::order::{Order, Payload};
use crate::crowd::{Crowded, Telling};
use crate::sync::{AtomicUsize, Mutex, MutexGuard};
use crate::waiters::{Picked, Waiters};

pub(crate) struct Shared<T, O: Order<T>> {
    /// So many items fit; zero if there is no limit.
    pub(crate) maxsize: usize,
    inlet: Padded<Mutex<Inlet<T>>>,
    outlet: Padded<Mutex<Outlet<T, O>>>,
    /// The outlet's `taken`, or less: tells who puts of room without a lock.
    taken: Padded<AtomicUsize>,
}

/// On cache lines of its own: one core puts while another takes.
#[repr(align(128))]
struct Padded<T>(T);

/// Where items are put. What each put looks at comes first, and shares a cache line with the mutex.
#[repr(C)]
pub(crate) struct Inlet<T> {
    /// Items that came after those in the outlet.
    items: VecDeque<T>,
    /// Items that were ever put.
    put: usize,
    /// The outlet's `taken`, or less.
    taken: usize,
    shut_down: bool,
    /// False if there are no getters.
    may_have_getters: bool,
    /// Those who wait for an item. Who is woken looks again, and may find that another was faster.
    pub(crate) getters: Waiters,
}

/// Where items are taken. In order of use as well.
#[repr(C)]
pub(crate) struct Outlet<T, O: Order<T>> {
    items: O::Items,
    /// Items that were ever taken, or dropped by a shut-down.
    taken: usize,
    /// What was last written to the count that who puts reads.
    published: usize,
    /// False if there are no putters.
    may_have_putters: bool,
    /// A putter was woken for room and has not looked yet: it will fill more of it, and then wake the next.
    called: bool,
    /// There was room for another since, who was not woken for that reason.
    skipped: bool,
    /// What was taken when a putter was last woken.
    taken_at_call: usize,
    /// Items that were ever marked as done, or dropped by a shut-down.
    done: usize,
    /// The inlet's `put`, or less.
    put: usize,
    /// Those who wait for room.
    pub(crate) putters: Waiters,
    /// Those who wait for all items to be done.
    pub(crate) joiners: Waiters,
}

// SAFETY: items are handed from thread to thread, and never shared. (`O::Items` holds nothing but items.)
unsafe impl<T: Send, O: Order<T>> Send for Outlet<T, O> {}

/// Wakes who waits for room next, if there is any, when dropped.
#[must_use]
pub(crate) struct PassRoomOn<'a, T, O: Order<T>>(&'a Shared<T, O>);

impl<T, O: Order<T>> Drop for PassRoomOn<'_, T, O> {
    fn drop(&mut self) {
        self.0.pass_room_on();
    }
}

/// What came of an attempt to put.
pub(crate) enum Attempt<T> {
    Done,
    Full(T),
    ShutDown(T),
}

/// Why nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    Yet,
    Ever,
}

/// Everything that can be counted, at one moment.
pub(crate) struct Counts {
    pub(crate) size: usize,
    pub(crate) unfinished: usize,
    pub(crate) getters: usize,
    pub(crate) putters: usize,
    pub(crate) joiners: usize,
    pub(crate) shut_down: bool,
}

impl<T, O: Order<T>> Shared<T, O> {
    #[cfg_attr(kumihimo_loom, track_caller)]
    pub(crate) fn new(maxsize: usize) -> Shared<T, O> {
        let made = Made::here("an item of the queue");
        let inlet = Inlet {
            items: VecDeque::new(),
            put: 0,
            taken: 0,
            shut_down: false,
            may_have_getters: false,
            getters: Waiters::new(made),
        };
        let outlet = Outlet {
            items: O::Items::default(),
            taken: 0,
            published: 0,
            may_have_putters: false,
            called: false,
            skipped: false,
            taken_at_call: 0,
            done: 0,
            put: 0,
            putters: Waiters::new(made.saying("room in the queue")),
            joiners: Waiters::new(made.saying("the end of what is in the queue")),
        };
        Shared {
            maxsize,
            inlet: Padded(Mutex::new(inlet)),
            outlet: Padded(Mutex::new(outlet)),
            taken: Padded(AtomicUsize::new(0)),
        }
    }

    /// The list of those who wait for an item stands in here.
    pub(crate) fn inlet(&self) -> &Mutex<Inlet<T>> {
        &self.inlet.0
    }

    /// The lists of those who wait for room, and for all to be done, stand in here.
    pub(crate) fn outlet(&self) -> &Mutex<Outlet<T, O>> {
        &self.outlet.0
    }

    /// Both ends, locked.
    fn both(&self) -> (MutexGuard<'_, Outlet<T, O>>, MutexGuard<'_, Inlet<T>>) {
        let outlet = self.outlet().lock();
        (outlet, self.inlet().lock())
    }

    /// Adds an item and wakes who waits for one, if it is certain that there is room.
    #[inline]
    pub(crate) fn try_put(&self, item: T) -> Attempt<T> {
        let mut inlet = self.inlet().lock();
        if self.seems_full(&inlet) {
            // Relaxed: a count that is too low at most, and that publishes nothing.
            inlet.taken = self.taken.0.load(Relaxed);
        }
        let (attempt, waker) = self.put_into(inlet, item);
        wake(waker);
        attempt
    }

    /// Adds an item and wakes who waits for one, if there is room.
    pub(crate) fn put_nowait(&self, item: T) -> Attempt<T> {
        match self.try_put(item) {
            Attempt::Full(item) => self.put_or(item, |_| ()),
            attempt => attempt,
        }
    }

    /// Adds an item and wakes who waits for one, if there is room; if not, `wait` is called while nobody can make some.
    pub(crate) fn put_or(&self, item: T, wait: impl FnOnce(&mut Waiters)) -> Attempt<T> {
        let (mut outlet, mut inlet) = self.both();
        inlet.taken = outlet.taken;
        let (attempt, waker) = self.put_into(inlet, item);
        if let Attempt::Full(_) = attempt {
            // If it was woken, it has looked.
            outlet.called = false;
            wait(&mut outlet.putters);
            outlet.may_have_putters = !outlet.putters.is_empty();
        }
        drop(outlet);
        wake(waker);
        attempt
    }

    #[inline]
    fn seems_full(&self, inlet: &Inlet<T>) -> bool {
        self.maxsize > 0 && inlet.put.wrapping_sub(inlet.taken) >= self.maxsize
    }

    #[inline]
    fn put_into(&self, mut inlet: MutexGuard<'_, Inlet<T>>, item: T) -> (Attempt<T>, Option<Waker>) {
        if inlet.shut_down {
            return (Attempt::ShutDown(item), None);
        }
        if self.seems_full(&inlet) {
            return (Attempt::Full(item), None);
        }
        inlet.items.push_back(item);
        inlet.put = inlet.put.wrapping_add(1);
        (Attempt::Done, inlet.next_getter())
    }

    /// Takes an item, if there is one, and wakes who waits for room. If there is none yet, `wait` is called while nobody can add
    /// one.
    #[inline]
    pub(crate) fn try_take(&self, wait: impl FnOnce(&mut Waiters)) -> Result<T, Nothing> {
        let mut outlet = self.outlet().lock();
        if !O::IN_ORDER || O::len(&outlet.items) == 0 {
            let mut inlet = self.inlet().lock();
            inlet.taken = outlet.taken;
            outlet.put = inlet.put;
            if let Err(payload) = O::absorb(&mut outlet.items, &mut inlet.items) {
                drop((inlet, outlet));
                self.fail(payload);
            }
            if O::len(&outlet.items) == 0 {
                if inlet.shut_down {
                    return Err(Nothing::Ever);
                }
                wait(&mut inlet.getters);
                inlet.may_have_getters = !inlet.getters.is_empty();
                drop(inlet);
                // Whoever was woken last for room takes its time. In asyncio's order each has been woken for an item of its own.
                let waker = if in_order() { None } else { outlet.next_putter() };
                drop(outlet);
                wake(waker);
                return Err(Nothing::Yet);
            }
        }
        let item = match O::pop(&mut outlet.items) {
            Ok(item) => item.expect("there is one"),
            Err(payload) => {
                drop(outlet);
                self.fail(payload);
            }
        };
        outlet.taken = outlet.taken.wrapping_add(1);
        self.publish(&mut outlet);
        let waker = if outlet.may_have_putters { self.call_putter(&mut outlet) } else { None };
        drop(outlet);
        wake(waker);
        Ok(item)
    }

    /// Who waits for room next, if it is time to wake one. In asyncio's order that is with each item. Elsewhere, one who was woken
    /// and has not looked yet is likely to fill what there is, so others are woken for every few items only; but they are, as
    /// that one may be in no hurry.
    #[inline]
    fn call_putter(&self, outlet: &mut Outlet<T, O>) -> Option<Waker> {
        let due = outlet.taken.wrapping_sub(outlet.taken_at_call) >= self.few() || O::len(&outlet.items) == 0;
        if outlet.called && !due && !in_order() {
            outlet.skipped = true;
            return None;
        }
        outlet.next_putter()
    }

    /// A small part of the queue, in items; in models, of two items that are few.
    #[inline]
    fn few(&self) -> usize {
        const PART: usize = if cfg!(kumihimo_loom) { 1 } else { 8 };
        (self.maxsize / PART).clamp(1, 32)
    }

    /// Tells who puts of room: not of each item, as every time costs both sides a cache line.
    #[inline]
    fn publish(&self, outlet: &mut Outlet<T, O>) {
        let due = outlet.taken.wrapping_sub(outlet.published) >= self.few();
        if self.maxsize > 0 && (due || outlet.may_have_putters) {
            outlet.published = outlet.taken;
            // Relaxed: as in `try_put`.
            self.taken.0.store(outlet.taken, Relaxed);
        }
    }

    /// A comparison of the user's has panicked: the items are all there, for another.
    #[cold]
    fn fail(&self, payload: Payload) -> ! {
        self.pass_item_on();
        resume_unwind(payload)
    }

    /// Somebody was woken for an item and did not take it.
    pub(crate) fn pass_item_on(&self) {
        let (outlet, mut inlet) = self.both();
        let waker = if inlet.put == outlet.taken { None } else { inlet.next_getter() };
        drop((inlet, outlet));
        wake(waker);
    }

    /// Somebody was woken for room and looks now. If there was more meanwhile, it is the next one's, as the guard is dropped.
    pub(crate) fn looks(&self) -> Option<PassRoomOn<'_, T, O>> {
        let mut outlet = self.outlet().lock();
        outlet.called = false;
        std::mem::take(&mut outlet.skipped).then(|| PassRoomOn(self))
    }

    /// Somebody was woken for room and did not use it.
    pub(crate) fn pass_room_on(&self) {
        let (mut outlet, mut inlet) = self.both();
        outlet.called = false;
        inlet.taken = outlet.taken;
        let waker = if self.seems_full(&inlet) { None } else { outlet.next_putter() };
        drop((inlet, outlet));
        wake(waker);
    }

    pub(crate) fn task_done(&self) -> Result<(), TooManyDone> {
        let mut outlet = self.outlet().lock();
        if outlet.done.wrapping_add(1) == outlet.put || outlet.done == outlet.put {
            outlet.put = self.inlet().lock().put;
        }
        if outlet.done == outlet.put {
            return Err(TooManyDone(()));
        }
        outlet.done = outlet.done.wrapping_add(1);
        if outlet.done == outlet.put {
            outlet.joiners.release_all();
            Telling::new(Joiners(self)).all(outlet);
        }
        Ok(())
    }

    /// True if there is nothing to wait for; if not, `wait` is called while nobody can mark items as done.
    pub(crate) fn is_done_or(&self, wait: impl FnOnce(&mut Waiters)) -> bool {
        let (mut outlet, inlet) = self.both();
        let done = outlet.done == inlet.put;
        if !done {
            wait(&mut outlet.joiners);
        }
        done
    }

    pub(crate) fn shut_down(&self, immediate: bool) {
        let (mut outlet, mut inlet) = self.both();
        inlet.shut_down = true;
        let dropped =
            immediate.then(|| (std::mem::take(&mut outlet.items), std::mem::take(&mut inlet.items)));
        if let Some((left, coming)) = &dropped {
            let count = O::len(left) + coming.len();
            outlet.put = inlet.put;
            outlet.taken = outlet.taken.wrapping_add(count);
            // Somebody may have marked more as done than were taken.
            let unfinished = inlet.put.wrapping_sub(outlet.done);
            outlet.done = outlet.done.wrapping_add(count.min(unfinished));
            if outlet.done == inlet.put {
                outlet.joiners.release_all();
            }
        }
        inlet.getters.release_all();
        outlet.putters.release_all();
        drop(inlet);
        // If a waker panics, who was not told yet is told as these are dropped.
        let (joiners, getters, putters) =
            (Telling::new(Joiners(self)), Telling::new(Getters(self)), Telling::new(Putters(self)));
        joiners.all(outlet);
        getters.all(self.inlet().lock());
        putters.all(self.outlet().lock());
        // Their destructors are the user's: without a lock.
        drop(dropped);
    }

    pub(crate) fn counts(&self) -> Counts {
        let (outlet, inlet) = self.both();
        Counts {
            size: inlet.put.wrapping_sub(outlet.taken),
            unfinished: inlet.put.wrapping_sub(outlet.done),
            getters: inlet.getters.waiting(),
            putters: outlet.putters.waiting(),
            joiners: outlet.joiners.waiting(),
            shut_down: inlet.shut_down,
        }
    }
}

impl<T> Inlet<T> {
    /// Chooses who waits for an item next; the caller wakes it, without a lock.
    #[must_use]
    #[inline]
    fn next_getter(&mut self) -> Option<Waker> {
        if self.may_have_getters { next(&mut self.getters, &mut self.may_have_getters) } else { None }
    }
}

impl<T, O: Order<T>> Outlet<T, O> {
    /// Chooses who waits for room next; the caller wakes it, without a lock.
    #[must_use]
    #[inline]
    fn next_putter(&mut self) -> Option<Waker> {
        if !self.may_have_putters {
            return None;
        }
        let waker = next(&mut self.putters, &mut self.may_have_putters);
        if waker.is_some() {
            self.called = true;
            self.taken_at_call = self.taken;
        }
        waker
    }
}

impl<T> Attempt<T> {
    /// What [`put_nowait`](super::Queue::put_nowait) says.
    pub(crate) fn into_result(self) -> Result<(), PutError<T>> {
        match self {
            Attempt::Done => Ok(()),
            Attempt::Full(item) => Err(PutError::Full(QueueFull(item))),
            Attempt::ShutDown(item) => Err(PutError::ShutDown(QueueShutDown, item)),
        }
    }
}

impl From<Nothing> for GetError {
    fn from(nothing: Nothing) -> GetError {
        match nothing {
            Nothing::Yet => GetError::Empty(QueueEmpty),
            Nothing::Ever => GetError::ShutDown(QueueShutDown),
        }
    }
}

fn next(waiters: &mut Waiters, may_have: &mut bool) -> Option<Waker> {
    // A shut-down has released everybody, and nobody comes after it.
    let waker = if waiters.has_released() { None } else { waiters.pick_next().map(Picked::choose) };
    *may_have = !waiters.is_empty();
    waker
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The lists that are woken at once.
macro_rules! crowded {
    ($($list:ident, $field:ident, $state:ty, |$this:ident| $mutex:expr;)*) => {
        $(struct $list<'a, T, O: Order<T>>(&'a Shared<T, O>);

        impl<T, O: Order<T>> Crowded for $list<'_, T, O> {
            type State = $state;

            fn state(&self) -> &Mutex<$state> {
                let $this = self.0;
                $mutex
            }

            fn released(state: &mut $state) -> Option<&mut Waiters> {
                Some(&mut state.$field).filter(|list| list.has_released())
            }
        })*
    };
}

crowded! {
    Joiners, joiners, Outlet<T, O>, |queue| queue.outlet();
    Getters, getters, Inlet<T>, |queue| queue.inlet();
    Putters, putters, Outlet<T, O>, |queue| queue.outlet();
}
