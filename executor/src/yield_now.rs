//! Giving way for one pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use kumihimo_context::{Leaf, WaitKind, poll_again};

/// Gives way once: other tasks that are ready run first. It is asyncio's `sleep(0)`, and touches no timer.
///
/// # Cancellation
///
/// A task that gave way is cancelled here.
#[doc(alias = "asyncio.sleep")]
pub fn yield_now() -> YieldNow {
    YieldNow { leaf: Leaf::new(), yielded: false }
}

/// See [`yield_now`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct YieldNow {
    leaf: Leaf,
    /// It has given way.
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.leaf.enter(cx));
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        self.leaf.wait(WaitKind::Turn);
        poll_again(cx);
        Poll::Pending
    }
}
