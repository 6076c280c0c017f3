//! Waiting in a plain thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use kumihimo_context::current_task;

use crate::sync::Parker;

/// Wakes the thread that parks.
struct Unpark(Parker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Panics in a task, also where nothing has to be waited for: it is a mistake that would show under load only.
#[inline]
#[track_caller]
pub(crate) fn check() {
    assert!(
        current_task().is_null(),
        "a blocking method was called in a task: it would hold up the worker, and everybody who waits for it; use the form \
         that is awaited, or `to_thread`"
    );
}

/// Blocks this thread until the future is ready.
#[track_caller]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    check();
    let parked = Arc::new(Unpark(Parker::new()));
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        // Returning for nothing does no harm: the future says whether it is ready.
        parked.0.park();
    }
}
