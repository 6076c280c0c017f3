//! Waiting for the end of a pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kumihimo_context::{Leaf, WaitKind};

use crate::clock::{self, Hold};
use crate::worker::Shared;

/// The future of a pool's end; made by [`ThreadPoolExecutor::shutdown`](crate::ThreadPoolExecutor::shutdown).
///
/// It is ready when every thread of the pool has run its last job; at once if the shutdown was told not to wait. The
/// shutdown goes on whether or not anybody waits.
///
/// # Cancellation
///
/// Dropping it ends the waiting only.
#[must_use = "the pool shuts down anyway; await this, or call `wait`, to know when its last job has ended"]
pub struct Shutdown {
    shared: Arc<Shared>,
    /// Whether the future is that of the end, or ready at once.
    wait: bool,
    /// Keeps a paused clock still while the future waits: the threads are about to end, or have jobs, which do so too.
    hold: Option<Hold>,
    /// Our part in cancellation and budgeting.
    leaf: Leaf,
}

impl Shutdown {
    pub(crate) fn new(shared: Arc<Shared>, wait: bool) -> Shutdown {
        Shutdown { shared, wait, hold: None, leaf: Leaf::new() }
    }

    /// Blocks the calling thread until the pool has ended, whatever the shutdown was told about waiting.
    ///
    /// # Panics
    ///
    /// If called in one of the pool's own jobs, which would wait for itself.
    #[track_caller]
    pub fn wait(self) {
        self.wait_timeout(Duration::MAX);
    }

    /// Blocks the calling thread until the pool has ended (true), or until `limit` has passed (false).
    ///
    /// # Panics
    ///
    /// If called in one of the pool's own jobs, which would wait for itself.
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        assert!(
            !self.shared.is_current(),
            "a job waits for the end of its own pool, which waits for the job: let somebody else wait, or only tell the \
             pool to shut down"
        );
        self.shared.crew.wait_ended(limit)
    }
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.leaf.enter(cx));
        if !self.wait {
            return Poll::Ready(());
        }
        if self.shared.crew.poll_ended(cx.waker()) {
            self.hold = None;
            return Poll::Ready(());
        }
        if self.hold.is_none() {
            self.hold = clock::hold();
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
