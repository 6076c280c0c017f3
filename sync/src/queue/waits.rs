//! The futures of a queue: `put`, `get`, `join`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kumihimo_context::in_order;
use kumihimo_context::model::atomic;
use pin_project_lite::pin_project;

use super::errors::QueueShutDown;
use super::order::Order;
use super::shared::{Attempt, Inlet, Nothing, Outlet, Shared};
use crate::crowd::Waiting;
use crate::waiters::Waiters;

pin_project! {
    /// See [`Queue::put`](super::Queue::put).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Put<'a, T, O: Order<T>> {
        queue: &'a Shared<T, O>,
        // Until it is in the queue.
        item: Option<T>,
        #[pin]
        waiting: Waiting,
    }

    impl<T, O: Order<T>> PinnedDrop for Put<'_, T, O> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let _atomic = atomic();
            this.give_up();
        }
    }
}

impl<'a, T, O: Order<T>> Put<'a, T, O> {
    pub(super) fn new(queue: &'a Shared<T, O>, item: T) -> Put<'a, T, O> {
        Put { queue, item: Some(item), waiting: Waiting::new() }
    }

    /// Gives up, and gives the item back, unless it is in the queue: after an error, or instead of dropping the future.
    ///
    /// ```
    /// use std::pin::pin;
    /// use kumihimo_sync::{Queue, QueueShutDown};
    ///
    /// # futures_lite::future::block_on(async {
    /// let queue = Queue::new(0);
    /// queue.shutdown(false);
    /// let mut put = pin!(queue.put(String::from("precious")));
    /// assert_eq!(put.as_mut().await, Err(QueueShutDown));
    /// assert_eq!(put.into_item().as_deref(), Some("precious"));
    /// # });
    /// ```
    pub fn into_item(mut self: Pin<&mut Self>) -> Option<T> {
        self.as_mut().give_up();
        self.project().item.take()
    }

    /// Leaves the queue; if it had been woken, another has the room.
    fn give_up(self: Pin<&mut Self>) {
        let this = self.project();
        if !this.waiting.has_begun() {
            return;
        }
        // SAFETY: it was polled with this list only.
        let removed = unsafe { this.waiting.give_up(this.queue.outlet(), putters) };
        if removed.chosen {
            this.queue.pass_room_on();
        }
    }
}

fn putters<T, O: Order<T>>(outlet: &mut Outlet<T, O>) -> &mut Waiters {
    &mut outlet.putters
}

impl<T, O: Order<T>> Future for Put<'_, T, O> {
    type Output = Result<(), QueueShutDown>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _atomic = atomic();
        let mut this = self.project();
        ready!(this.waiting.as_mut().enter(cx));
        let woken = this.waiting.has_begun();
        if woken {
            // SAFETY: it has begun in this list.
            if unsafe { this.waiting.as_mut().poll(this.queue.outlet(), putters, cx) }.is_pending() {
                // It may have been passed over as cancelled, and yet go on: by a reference, say, that outlives a time-out.
                if in_order() {
                    this.queue.pass_room_on();
                }
                return Poll::Pending;
            }
        }
        let _pass_on = if woken { this.queue.looks() } else { None };
        let mut attempt = this.queue.try_put(this.item.take().expect("polled after its end"));
        if let Attempt::Full(item) = attempt {
            let waker = cx.waker().clone();
            let waiting = this.waiting.as_mut();
            // SAFETY: it is not waiting, it waits in this list, and `drop` gives it up.
            attempt = this.queue.put_or(item, |putters| unsafe { waiting.begin(putters, waker) });
        }
        let result = match attempt {
            Attempt::Done => Ok(()),
            Attempt::ShutDown(item) => {
                *this.item = Some(item);
                Err(QueueShutDown)
            }
            Attempt::Full(item) => {
                *this.item = Some(item);
                return Poll::Pending;
            }
        };
        this.waiting.end();
        Poll::Ready(result)
    }
}

pin_project! {
    /// See [`Queue::get`](super::Queue::get).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Get<'a, T, O: Order<T>> {
        queue: &'a Shared<T, O>,
        #[pin]
        waiting: Waiting,
    }

    impl<T, O: Order<T>> PinnedDrop for Get<'_, T, O> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let _atomic = atomic();
            this.give_up();
        }
    }
}

impl<'a, T, O: Order<T>> Get<'a, T, O> {
    pub(super) fn new(queue: &'a Shared<T, O>) -> Get<'a, T, O> {
        Get { queue, waiting: Waiting::new() }
    }

    /// Leaves the queue; if it had been woken, the item is another's.
    fn give_up(self: Pin<&mut Self>) {
        let this = self.project();
        if !this.waiting.has_begun() {
            return;
        }
        // SAFETY: it was polled with this list only.
        let removed = unsafe { this.waiting.give_up(this.queue.inlet(), getters) };
        if removed.chosen {
            this.queue.pass_item_on();
        }
    }
}

fn getters<T>(inlet: &mut Inlet<T>) -> &mut Waiters {
    &mut inlet.getters
}

impl<T, O: Order<T>> Future for Get<'_, T, O> {
    type Output = Result<T, QueueShutDown>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _atomic = atomic();
        let mut this = self.project();
        ready!(this.waiting.as_mut().enter(cx));
        if this.waiting.has_begun() {
            // SAFETY: it has begun in this list.
            if unsafe { this.waiting.as_mut().poll(this.queue.inlet(), getters, cx) }.is_pending() {
                // As for `Put`.
                if in_order() {
                    this.queue.pass_item_on();
                }
                return Poll::Pending;
            }
        }
        let mut taken = this.queue.try_take(|_| ());
        if let Err(Nothing::Yet) = taken {
            let waker = cx.waker().clone();
            let waiting = this.waiting.as_mut();
            // SAFETY: it is not waiting, it waits in this list, and `drop` gives it up.
            taken = this.queue.try_take(|getters| unsafe { waiting.begin(getters, waker) });
        }
        if let Err(Nothing::Yet) = taken {
            return Poll::Pending;
        }
        this.waiting.end();
        Poll::Ready(taken.map_err(|_| QueueShutDown))
    }
}

pin_project! {
    /// See [`Queue::join`](super::Queue::join).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Join<'a, T, O: Order<T>> {
        queue: &'a Shared<T, O>,
        #[pin]
        waiting: Waiting,
    }

    impl<T, O: Order<T>> PinnedDrop for Join<'_, T, O> {
        fn drop(this: Pin<&mut Self>) {
            let _atomic = atomic();
            let this = this.project();
            if this.waiting.has_begun() {
                // SAFETY: it was polled with this list only.
                let _was_notified = unsafe { this.waiting.give_up(this.queue.outlet(), joiners) };
            }
        }
    }
}

impl<'a, T, O: Order<T>> Join<'a, T, O> {
    pub(super) fn new(queue: &'a Shared<T, O>) -> Join<'a, T, O> {
        Join { queue, waiting: Waiting::new() }
    }
}

fn joiners<T, O: Order<T>>(outlet: &mut Outlet<T, O>) -> &mut Waiters {
    &mut outlet.joiners
}

impl<T, O: Order<T>> Future for Join<'_, T, O> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _atomic = atomic();
        let mut this = self.project();
        ready!(this.waiting.as_mut().enter(cx));
        if this.waiting.has_begun() {
            // SAFETY: it has begun in this list.
            ready!(unsafe { this.waiting.as_mut().poll(this.queue.outlet(), joiners, cx) });
        } else {
            let waker = cx.waker().clone();
            let waiting = this.waiting.as_mut();
            // SAFETY: it is not waiting, it waits in this list, and `drop` gives it up.
            if !this.queue.is_done_or(|joiners| unsafe { waiting.begin(joiners, waker) }) {
                return Poll::Pending;
            }
        }
        this.waiting.end();
        Poll::Ready(())
    }
}

impl<T, O: Order<T>> fmt::Debug for Put<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put").finish_non_exhaustive()
    }
}

impl<T, O: Order<T>> fmt::Debug for Get<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").finish_non_exhaustive()
    }
}

impl<T, O: Order<T>> fmt::Debug for Join<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").finish_non_exhaustive()
    }
}
