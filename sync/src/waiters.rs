//! A FIFO queue of waiters that live in their own futures: waiting allocates nothing.
//!
//! A [`Node`] is part of a pinned future. It is linked into a [`Waiters`] list, which stands under some mutex, and whoever
//! *chooses* it takes it out of the list and wakes it. A future that is dropped takes its node out itself.
//!
//! Who may touch a node's links: whoever holds the mutex of the list that it is in. While it is in none, there are none. The last
//! that a chooser does with a node is to set its state, as the owner may be gone right after that.

use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Waker};

use kumihimo_context::model::Made;
use kumihimo_context::{in_order, is_cancelled};

use crate::sync::{AtomicU8, Mutex, UnsafeCell};

/// In no list; nobody has chosen it.
const IDLE: u8 = 0;
/// In a list.
const QUEUED: u8 = 1;
/// Taken out of its list by somebody who has something for it.
const CHOSEN: u8 = 2;
/// The same, and what it was given is counted until it takes it.
const COUNTED: u8 = 3;

/// A place in a list.
#[derive(Debug)]
#[repr(align(8))]
pub(crate) struct Node {
    /// `IDLE`, `QUEUED`, `CHOSEN` or `COUNTED`. Leaves `QUEUED` under the list's mutex only.
    state: AtomicU8,
    /// There while it is in a list: a future that need not wait makes none.
    links: UnsafeCell<MaybeUninit<Links>>,
    /// Lists point here.
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Links {
    /// Of the head: anything.
    prev: Option<NonNull<Node>>,
    next: Option<NonNull<Node>>,
    /// Whom to wake; taken out with the node.
    waker: Option<Waker>,
    /// The how-manieth of its list it is.
    number: u64,
}

// SAFETY: the links are touched under the list's mutex, or by the owner while the node is in no list; see the module.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) fn new() -> Node {
        Node {
            state: AtomicU8::new(IDLE),
            links: UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// Its place, as the executor knows it.
    pub(crate) fn place(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Whether the owner has put it into a list, and it has not been [reset](Self::reset) since.
    pub(crate) fn is_waiting(&self) -> bool {
        // Relaxed: only the owner makes it so, and unmakes it.
        self.state.load(Relaxed) != IDLE
    }

    /// Whether somebody has chosen it.
    pub(crate) fn is_chosen(&self) -> bool {
        // Acquire: pairs with the Release in `choose`; what the chooser did before is seen, and it is done with the node.
        self.state.load(Acquire) >= CHOSEN
    }

    /// Whether somebody has chosen it by [`choose_counted`](Picked::choose_counted).
    pub(crate) fn is_counted(&self) -> bool {
        // Relaxed: it is known to be chosen.
        self.state.load(Relaxed) == COUNTED
    }

    /// The owner has taken what it was chosen for.
    pub(crate) fn reset(&self) {
        debug_assert!(self.state.load(Relaxed) != QUEUED, "a waiter is forgotten in its queue");
        // Relaxed: it is in no list, so only the owner looks.
        self.state.store(IDLE, Relaxed);
    }

    /// The links.
    ///
    /// # Safety
    ///
    /// The caller holds the mutex of the list that the node is in.
    unsafe fn with<R>(&self, f: impl FnOnce(&mut Links) -> R) -> R {
        // SAFETY: exclusive, as the caller says, and `f` does not come back here for the same node; `push` has written them.
        self.links.with_mut(|links| f(unsafe { (*links).assume_init_mut() }))
    }
}

/// A node that was taken out of its list and has not been told yet.
#[must_use = "a waiter that is not told waits for ever"]
pub(crate) struct Picked(NonNull<Node>, Waker);

impl Picked {
    /// Tells it that it was chosen; the caller wakes it, once no lock is held.
    pub(crate) fn choose(self) -> Waker {
        self.tell(CHOSEN)
    }

    /// The same, of one who has to take what it is given out of a count.
    pub(crate) fn choose_counted(self) -> Waker {
        self.tell(COUNTED)
    }

    fn tell(self, state: u8) -> Waker {
        // Release: pairs with the Acquire in `is_chosen`. The last access: the owner may be gone after it.
        // SAFETY: a node stays where it is until its owner has found it chosen, or has taken the mutex, which our caller holds.
        unsafe { self.0.as_ref() }.state.store(state, Release);
        self.1
    }
}

/// The list. Everything is done under the mutex that it stands in.
///
/// Small, so that it shares a cache line with its mutex.
#[derive(Debug)]
pub(crate) struct Waiters {
    head: Option<NonNull<Node>>,
    tail: Option<NonNull<Node>>,
    len: u32,
    /// What the next node is numbered.
    next: u64,
    /// Nodes that were numbered before are all chosen, though some were not told yet: they are the front of the list.
    released: u64,
    /// How many of those are left.
    untold: u32,
    /// What they wait for.
    made: Made,
}

// SAFETY: the nodes that it points to may be touched from any thread, under the mutex.
unsafe impl Send for Waiters {}

impl Waiters {
    pub(crate) const fn new(made: Made) -> Waiters {
        Waiters { head: None, tail: None, len: 0, next: 0, released: 0, untold: 0, made }
    }

    /// Whether nobody is in the list.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// How many wait who were not released.
    pub(crate) fn waiting(&self) -> usize {
        (self.len - self.untold) as usize
    }

    /// Adds a node at the end.
    ///
    /// # Safety
    ///
    /// The node is in no list, is pinned, and is not dropped before it was taken out: by [`remove`](Self::remove), or by being
    /// chosen. From now on it is used with this list only.
    pub(crate) unsafe fn push(&mut self, node: &Node, waker: Waker) {
        let this = NonNull::from(node);
        let (prev, number) = (self.tail.replace(this), self.next);
        let links = Links { prev, next: None, waker: Some(waker), number };
        // SAFETY: in no list, and its owner's, who calls. What the last list left in there has no waker to be dropped.
        node.links.with_mut(|place| unsafe { _ = (*place).write(links) });
        match prev {
            // SAFETY: in the list, whose mutex is held.
            Some(prev) => unsafe { prev.as_ref().with(|links| links.next = Some(this)) },
            None => self.head = Some(this),
        }
        self.len += 1;
        self.next += 1;
        // Relaxed: others look under the mutex.
        node.state.store(QUEUED, Relaxed);
        self.made.is_awaited(node.place());
    }

    /// Takes a node out that its owner gives up, unless it was chosen.
    ///
    /// # Safety
    ///
    /// The node is one of this list's.
    pub(crate) unsafe fn remove(&mut self, node: &Node) -> Removed {
        // Relaxed: under the mutex, as every choice is.
        if node.state.load(Relaxed) >= CHOSEN {
            return Removed { _waker: None, chosen: true };
        }
        // SAFETY: in this list.
        let (waker, chosen) = unsafe { self.unlink(NonNull::from(node)) };
        node.state.store(IDLE, Relaxed);
        Removed { _waker: waker, chosen }
    }

    /// Replaces a waiting node's waker, by one that wakes somebody else.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    unsafe fn replace_waker(&mut self, node: &Node, waker: Waker) -> Option<Waker> {
        // SAFETY: in this list, whose mutex is held.
        unsafe { node.with(|links| links.waker.replace(waker)) }
    }

    /// Whether a node in this list wakes the same as `waker`.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    unsafe fn wakes(&self, node: &Node, waker: &Waker) -> bool {
        // SAFETY: in this list, whose mutex is held.
        unsafe { node.with(|links| links.waker.as_ref().is_some_and(|old| old.will_wake(waker))) }
    }

    /// Whether a node in this list is among those that [`release_all`](Self::release_all) chose.
    ///
    /// # Safety
    ///
    /// The node is in this list.
    unsafe fn is_released(&self, node: &Node) -> bool {
        // SAFETY: in this list, whose mutex is held.
        self.was_released(unsafe { node.with(|links| links.number) })
    }

    fn was_released(&self, number: u64) -> bool {
        number < self.released
    }

    /// Chooses all that are in the list; they are told by and by, with [`pick_released`](Self::pick_released).
    pub(crate) fn release_all(&mut self) {
        self.released = self.next;
        self.untold = self.len;
    }

    /// Whether some of those that were released are in the list still.
    pub(crate) fn has_released(&self) -> bool {
        self.untold > 0
    }

    /// Takes out the first of those that were released.
    pub(crate) fn pick_released(&mut self) -> Option<Picked> {
        if self.untold == 0 { None } else { self.pick(self.head?) }
    }

    /// Takes out the first, unless it was cancelled.
    pub(crate) fn pick_first(&mut self) -> Option<Picked> {
        let head = self.head?;
        if in_order() && Waiters::is_cancelled(head) { None } else { self.pick(head) }
    }

    /// Takes out the first that was not cancelled.
    pub(crate) fn pick_next(&mut self) -> Option<Picked> {
        debug_assert!(self.untold == 0, "those who were released come first");
        let mut node = self.head?;
        if in_order() {
            node = self.nodes().find(|node| !Waiters::is_cancelled(*node))?;
        }
        self.pick(node)
    }

    /// Whether everybody in the list was cancelled.
    pub(crate) fn all_cancelled(&self) -> bool {
        self.is_empty() || (in_order() && self.nodes().all(Waiters::is_cancelled))
    }

    fn nodes(&self) -> impl Iterator<Item = NonNull<Node>> {
        // SAFETY: in the list, whose mutex is held for as long as `self` is borrowed.
        std::iter::successors(self.head, |node| unsafe { node.as_ref().with(|links| links.next) })
    }

    fn is_cancelled(node: NonNull<Node>) -> bool {
        // SAFETY: in the list, whose mutex is held.
        let node = unsafe { node.as_ref() };
        // SAFETY: as above.
        unsafe {
            node.with(|links| links.waker.as_ref().is_some_and(|waker| is_cancelled(waker, node.place())))
        }
    }

    fn pick(&mut self, node: NonNull<Node>) -> Option<Picked> {
        // SAFETY: in the list, whose mutex is held.
        let (waker, _) = unsafe { self.unlink(node) };
        Some(Picked(node, waker.expect("who is in a list has a waker")))
    }

    /// Takes a node out; gives its waker, and whether it was released.
    ///
    /// # Safety
    ///
    /// It is in this list.
    unsafe fn unlink(&mut self, node: NonNull<Node>) -> (Option<Waker>, bool) {
        // SAFETY: this node and its neighbours are in the list, whose mutex is held, and none is touched twice at once.
        unsafe {
            let (prev, next, waker, number) =
                node.as_ref().with(|links| (links.prev, links.next, links.waker.take(), links.number));
            if self.head == Some(node) {
                // The new head's `prev` stays as it is: its line may be in another core's cache, and nobody looks.
                self.head = next;
                if next.is_none() {
                    self.tail = None;
                }
            } else {
                let prev = prev.expect("who is not the first has one before it");
                prev.as_ref().with(|links| links.next = next);
                match next {
                    Some(next) => next.as_ref().with(|links| links.prev = Some(prev)),
                    None => self.tail = Some(prev),
                }
            }
            self.len -= 1;
            let released = self.was_released(number);
            self.untold -= u32::from(released);
            (waker, released)
        }
    }
}

/// The owner of a node that waits was polled again: sees to it that the right task is woken. False if the node was
/// chosen by now, and is in no list any more.
///
/// # Safety
///
/// The node was put into this list.
pub(crate) unsafe fn still_waits<T>(
    mutex: &Mutex<T>,
    list: impl Fn(&mut T) -> &mut Waiters,
    node: &Node,
    cx: &Context<'_>,
) -> bool {
    let mut new = None;
    loop {
        let mut guard = mutex.lock();
        let waiters = list(&mut guard);
        if node.is_chosen() {
            drop(guard);
            return false;
        }
        // SAFETY: it was not chosen, so it is in the list; so in what follows.
        if unsafe { waiters.is_released(node) } {
            // SAFETY: as above.
            let removed = unsafe { waiters.remove(node) };
            drop(guard);
            drop(removed);
            return false;
        }
        // SAFETY: as above.
        if unsafe { waiters.wakes(node, cx.waker()) } {
            return true;
        }
        let Some(waker) = new.take() else {
            // Cloned and dropped without the lock: it may be anybody's waker, and do anything.
            drop(guard);
            new = Some(cx.waker().clone());
            continue;
        };
        // SAFETY: as above.
        let old = unsafe { waiters.replace_waker(node, waker) };
        drop(guard);
        drop(old);
        return true;
    }
}

/// Wakes all, also where one panics: the first panic goes on after that.
pub(crate) fn wake_each(wakers: impl Iterator<Item = Waker>) {
    let wake = |waker: Waker| catch_unwind(AssertUnwindSafe(|| waker.wake())).err();
    // All of them, and then the first.
    let panics = wakers.filter_map(wake).fold(None, |first, panic| first.or(Some(panic)));
    if let Some(panic) = panics {
        resume_unwind(panic);
    }
}

/// What became of a node that its owner gave up.
#[must_use = "who was chosen passes on what it was chosen for; wakers are dropped without a lock"]
#[derive(Default)]
pub(crate) struct Removed {
    /// To be dropped once no lock is held, and after all else: it may be anybody's, and panic.
    pub(crate) _waker: Option<Waker>,
    /// Somebody had chosen it.
    pub(crate) chosen: bool,
}
