//! A part of a task that can be cancelled alone: what a time-out wraps, the body of a group.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::task::{Context, Poll, Waker};

use kumihimo_context::{
    CancelMessage, Forward, Scoped, WaitKind, WaitWord, deliver_inside, delivering, noting, poll_again, scope,
};
use kumihimo_executor::{Due, Inside, TaskHandle, TaskId, links_here};

use crate::sync::{AtomicBool, Mutex, MutexGuard, local};

/// Requests to a part of a task, and their way to it. Its owner shares it with whoever makes requests.
#[derive(Debug)]
pub(crate) struct Part {
    task: TaskHandle,
    place: Arc<Place>,
    /// Requests that [concerned](Self::requests) the part when it began.
    before: isize,
    /// What requests carry.
    message: CancelMessage,
    /// Not held while foreign code is polled.
    inner: Mutex<Inner>,
}

/// Where a part stands among the parts of its task.
#[derive(Debug)]
struct Place {
    task: TaskId,
    /// The part around it.
    outer: Option<Arc<Place>>,
    /// It has made a request that was not taken back.
    requested: AtomicBool,
}

local! {
    /// The part whose inside is being polled.
    static CURRENT: RefCell<Option<Arc<Place>>> = RefCell::new(None)
}

/// A part's inside is being polled, until this is dropped.
struct Current(Option<Arc<Place>>);

impl Current {
    fn enter(place: &Arc<Place>) -> Current {
        Current(CURRENT.with(|current| current.replace(Some(place.clone()))))
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.with(|current| current.replace(self.0.take()));
    }
}

#[derive(Debug)]
struct Inner {
    /// What the part was suspended on when it was last polled.
    inside: WaitWord,
    /// Has the part polled; set while it is suspended.
    waker: Option<Waker>,
    request: Request,
}

/// A request that the next poll delivers.
#[derive(Clone, Copy, Debug)]
enum Request {
    None,
    /// If it is not taken back before that.
    Due(Due),
    /// It is on its way; it came while the part ran.
    Committed,
}

/// Whether a request came after the task had been woken.
struct Late(bool);

impl Part {
    /// A part of this task, to which requests come with this message.
    pub(crate) fn new(task: TaskHandle, message: CancelMessage) -> Part {
        let inner = Inner { inside: WaitWord::NONE, waker: None, request: Request::None };
        let outer = CURRENT.with(|current| current.borrow().clone());
        let outer = outer.filter(|outer| outer.task == task.id());
        let place = Arc::new(Place { task: task.id(), outer, requested: AtomicBool::new(false) });
        let mut part = Part { task, place, before: 0, message, inner: Mutex::new(inner) };
        part.before = part.requests() - part.task.unheard_requests() as isize;
        part
    }

    /// Requests to cancel that concern the part: those from outside, and those of the parts around it. Of parts beside it, which a
    /// task of asyncio can't have, it knows nothing.
    pub(crate) fn requests(&self) -> isize {
        let around = std::iter::successors(self.place.outer.as_deref(), |place| place.outer.as_deref());
        // Acquire: pairs with the Release in `request`; the counts are under a lock of the task's.
        let around = around.filter(|place| place.requested.load(Acquire)).count();
        self.task.requests_from_outside() + around as isize
    }

    /// Takes the part's own request back. True if no more concern it now than when it began.
    pub(crate) fn take_back(&self) -> bool {
        self.place.requested.store(false, Release);
        self.task.uncancel_inside();
        self.requests() <= self.before
    }

    pub(crate) fn task(&self) -> &TaskHandle {
        &self.task
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Notes whom to wake. Clones and drops wakers, which may be anybody's, outside of the lock.
    fn lock_to_wake(&self, cx: &Context<'_>) -> MutexGuard<'_, Inner> {
        let inner = self.lock();
        if inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return inner;
        }
        drop(inner);
        let waker = cx.waker().clone();
        let old = self.lock().waker.replace(waker);
        drop(old);
        self.lock()
    }

    /// Requests that the part be cancelled: it counts as a request to the task, which the owner takes back in the end. True if
    /// the part is to be [woken](Self::wake) for it.
    #[must_use]
    pub(crate) fn request(&self) -> bool {
        self.place.requested.store(true, Release);
        // With links there is one thread, and what is awaited may end in here, and wake anybody: not under the lock. Without
        // them nothing of the kind happens, and who polls meanwhile waits for the request.
        let inner = self.lock();
        let inside = inner.inside;
        let held = (!links_here()).then_some(inner);
        let request = self.task.cancel_inside(inside, self.message.clone());
        let mut inner = held.unwrap_or_else(|| self.lock());
        match request {
            Inside::PassedOn => false,
            Inside::Due(due) => {
                inner.request = Request::Due(due);
                true
            }
            Inside::DueAtTheEnd(due) => {
                inner.request = Request::Due(due);
                false
            }
        }
    }

    /// Has the part polled.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Polls the part, and delivers the request that it is due. The owner is a scope: a cancellation comes out here.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Scoped<T> {
        let _current = Current::enter(&self.place);
        let mut deliver = self.take_due();
        loop {
            let (polled, inside) = noting(|| match deliver {
                Some(Late(late)) => deliver_inside(self.message.clone(), late, || poll(cx)),
                None => scope(|| poll(cx)),
            });
            if !matches!(polled, Scoped::Pending) {
                return polled;
            }
            if !self.suspend(cx, inside) {
                return Scoped::Pending;
            }
            deliver = Some(Late(false));
        }
    }

    /// The owner waits for something of its own: notes whom to wake. What the part was due concerns it no longer.
    pub(crate) fn wait(&self, cx: &Context<'_>) {
        let mut inner = self.lock_to_wake(cx);
        inner.request = Request::None;
        inner.inside = WaitWord::NONE;
    }

    /// The part has ended.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.request = Request::None;
        inner.inside = WaitWord::NONE;
        let waker = inner.waker.take();
        drop(inner);
        drop(waker);
    }

    /// The request that has to be delivered, if there is one.
    fn take_due(&self) -> Option<Late> {
        let request = std::mem::replace(&mut self.lock().request, Request::None);
        let on_its_way = matches!(request, Request::Due(due) if due.is_on_its_way());
        if !self.is_due(request) {
            return None;
        }
        if delivering() && on_its_way {
            // Another came later, to the whole task: of the two the first's message counts.
            let mut forward = Forward::new();
            forward.take();
            forward.give_back(self.message.clone());
        }
        Some(Late(!on_its_way && matches!(request, Request::Due(_))))
    }

    fn is_due(&self, request: Request) -> bool {
        match request {
            Request::None => false,
            Request::Due(due) => self.task.is_due(due),
            Request::Committed => true,
        }
    }

    /// The part is suspended on `inside`. True if it has to be polled again at once.
    fn suspend(&self, cx: &Context<'_>, inside: WaitWord) -> bool {
        let mut inner = self.lock_to_wake(cx);
        inner.inside = inside;
        // One that is there by now came during the poll.
        let request = std::mem::replace(&mut inner.request, Request::None);
        if !self.is_due(request) {
            return false;
        }
        if inside.target().is_some() || inside.object_target().is_some() {
            // What is awaited hears of it as soon as it is awaited.
            return true;
        }
        // One that gave way is between two steps, where requests may still be taken back.
        let gave_way = inside == WaitWord::leaf(WaitKind::Turn);
        inner.request = if gave_way { request } else { Request::Committed };
        drop(inner);
        poll_again(cx);
        false
    }
}
