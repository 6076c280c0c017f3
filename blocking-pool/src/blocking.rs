//! Waiting on a thread that may block.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sleeper::Sleeper;

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        Sleeper::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Sleeper::wake(self);
    }
}

/// Blocks the calling thread until `poll` is ready; `None` if that takes longer than `limit`.
///
/// `poll` is no future: what it does has no part in cancellation and budgeting, for the thread's task, if there is one,
/// is not suspended here.
pub(crate) fn block_until<T>(limit: Option<Duration>, mut poll: impl FnMut(&Waker) -> Poll<T>) -> Option<T> {
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let sleeper = Arc::new(Sleeper::new());
    let waker = Waker::from(Arc::clone(&sleeper));
    loop {
        if let Poll::Ready(value) = poll(&waker) {
            return Some(value);
        }
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if !sleeper.sleep(left) {
            return None;
        }
    }
}
