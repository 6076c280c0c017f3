//! The part that every leaf future of ours embeds.

use std::task::{Context, Poll};

use crate::poll_context;
use crate::wait::{WaitKind, WaitWord};

/// How a leaf (a sleep, a read, a lock) takes part in cancellation and budgeting.
///
/// Call [`enter`](Self::enter) first in every `poll`, then [`wait`](Self::wait) when returning `Pending` or
/// [`done`](Self::done) when a leaf that is used again (a stream's read half) is ready.
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use kumihimo_context::{Leaf, WaitKind};
///
/// fn poll_flag(leaf: &mut Leaf, set: bool, cx: &mut Context<'_>) -> Poll<()> {
///     ready!(leaf.enter(cx));
///     if set {
///         leaf.done();
///         return Poll::Ready(());
///     }
///     // register cx.waker() here
///     leaf.wait(WaitKind::Other);
///     Poll::Pending
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// The last poll returned `Pending`: the task may be suspended here, so a delivery is meant for us.
    waiting: bool,
}

impl Leaf {
    /// A leaf that has not been polled.
    pub const fn new() -> Leaf {
        Leaf { waiting: false }
    }

    /// Whether the leaf may look for its result in this poll.
    ///
    /// `Pending` where a cancellation is being delivered to a leaf that waited (its result, if there is one, stays
    /// where it is), and where the budget is spent. The task is woken in both cases, so that a branch that survives
    /// is polled again.
    #[inline]
    pub fn enter(&mut self, cx: &Context<'_>) -> Poll<()> {
        if (self.waiting && poll_context::delivering()) || !poll_context::spend() {
            return self.give_way(cx);
        }
        Poll::Ready(())
    }

    #[cold]
    fn give_way(&mut self, cx: &Context<'_>) -> Poll<()> {
        if poll_context::is_stuck(std::ptr::from_ref(self).cast()) {
            return Poll::Ready(());
        }
        self.waiting = true;
        poll_context::note(WaitWord::leaf(WaitKind::Turn));
        poll_context::poll_again(cx);
        Poll::Pending
    }

    /// The leaf returns `Pending`, waiting for something of this kind.
    #[inline]
    pub fn wait(&mut self, kind: WaitKind) {
        self.waiting = true;
        poll_context::refund();
        poll_context::note(WaitWord::leaf(kind));
    }

    /// The leaf returns `Pending`, waiting at this [place](WaitWord::queued) in a primitive's queue.
    #[inline]
    pub fn wait_at(&mut self, place: *const ()) {
        self.waiting = true;
        poll_context::refund();
        poll_context::note(WaitWord::queued(place));
    }

    /// A forward that uses the leaf for its end returns `Pending`: it has noted itself.
    #[inline]
    pub fn forwarding(&mut self) {
        self.waiting = true;
    }

    /// The leaf returns `Ready`, and may be polled anew for its next result.
    #[inline]
    pub fn done(&mut self) {
        self.waiting = false;
    }
}
