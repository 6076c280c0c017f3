//! Waiting for the end of a process pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{Leaf, WaitKind};

use super::roster::Roster;

/// The future of a pool's end; made by [`ProcessPoolExecutor::shutdown`](super::ProcessPoolExecutor::shutdown).
///
/// It is ready when the last process has ended and was reaped. The shutdown goes on whether or not anybody waits.
///
/// # Cancellation
///
/// Dropping it ends the waiting only.
#[must_use = "the pool shuts down anyway; await this to know when its last process has ended"]
pub struct ProcessShutdown {
    /// `None` where nobody wants to wait; and the number under which we do.
    roster: Option<(Arc<Roster>, u64)>,
    leaf: Leaf,
}

impl ProcessShutdown {
    pub(super) fn new(roster: Option<Arc<Roster>>) -> ProcessShutdown {
        let roster = roster.map(|roster| {
            let waiter = roster.new_waiter();
            (roster, waiter)
        });
        ProcessShutdown { roster, leaf: Leaf::new() }
    }
}

impl Future for ProcessShutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.leaf.enter(cx));
        let Some((roster, waiter)) = &self.roster else { return Poll::Ready(()) };
        if roster.poll_ended(*waiter, cx.waker()) {
            return Poll::Ready(());
        }
        roster.look_after();
        self.leaf.wait(WaitKind::Thread);
        Poll::Pending
    }
}

impl Drop for ProcessShutdown {
    fn drop(&mut self) {
        if let Some((roster, waiter)) = &self.roster {
            roster.forget_waiter(*waiter);
        }
    }
}

impl fmt::Debug for ProcessShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessShutdown").field("waits", &self.roster.is_some()).finish()
    }
}
