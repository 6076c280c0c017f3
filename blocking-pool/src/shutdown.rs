//! Waiting for the end of a pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kumihimo_context::{Leaf, WaitKind};

use crate::worker::Shared;

/// The future of a pool's end; made by [`ThreadPool::shutdown`](crate::ThreadPool::shutdown).
///
/// It is ready when every thread of the pool has run its last job. The shutdown goes on whether or not anybody waits.
///
/// # Cancellation
///
/// Dropping it ends the waiting only.
#[must_use = "the pool shuts down anyway; await this, or call `wait`, to know when its last job has ended"]
pub struct Shutdown {
    shared: Arc<Shared>,
    /// Our part in cancellation and budgeting.
    leaf: Leaf,
}

impl Shutdown {
    pub(crate) fn new(shared: Arc<Shared>) -> Shutdown {
        Shutdown { shared, leaf: Leaf::new() }
    }

    /// Blocks the calling thread until the pool has ended.
    ///
    /// Called in one of the pool's own jobs it never returns.
    pub fn wait(self) {
        self.shared.crew.wait_ended(Duration::MAX);
    }

    /// Blocks the calling thread until the pool has ended (true), or until `limit` has passed (false).
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        self.shared.crew.wait_ended(limit)
    }
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.leaf.enter(cx));
        if self.shared.crew.poll_ended(cx.waker()) {
            return Poll::Ready(());
        }
        self.leaf.wait(WaitKind::Thread);
        Poll::Pending
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("threads", &self.shared.crew.counts().threads()).finish()
    }
}
