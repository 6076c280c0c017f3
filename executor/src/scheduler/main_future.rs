//! The main future: a task whose future stays in the frame of `block_on`.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls the future in `block_on`'s frame, and leaves its output there.
///
/// The task's allocation holds only the two pointers, so main needs to be neither `Send` nor `'static`, and a handle that
/// outlives `block_on` reaches nothing of its frame: by then the task is complete, and its future gone.
pub(crate) struct MainFuture<F: Future> {
    /// The pinned future; emptied in place.
    future: *mut Option<F>,
    /// Where the output goes.
    output: *mut Option<F::Output>,
}

impl<F: Future> MainFuture<F> {
    /// # Safety
    ///
    /// Both places must outlive the `MainFuture`, be used by nobody else until it is dropped, and `future` must hold a
    /// future that does not move until then.
    pub(crate) unsafe fn new(future: *mut Option<F>, output: *mut Option<F::Output>) -> MainFuture<F> {
        MainFuture { future, output }
    }
}

impl<F: Future> Future for MainFuture<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `new`'s caller promised that the place is ours, and that the future in it does not move.
        let future = unsafe { Pin::new_unchecked(&mut *self.future) };
        let future = future.as_pin_mut().expect("main is not polled after its end");
        future.poll(cx).map(|output| {
            // SAFETY: `new`'s caller promised that the place is ours.
            unsafe { *self.output = Some(output) };
        })
    }
}

impl<F: Future> Drop for MainFuture<F> {
    fn drop(&mut self) {
        // SAFETY: `new`'s caller promised that the place is ours; the future is dropped where it is pinned.
        unsafe { Pin::new_unchecked(&mut *self.future) }.set(None);
    }
}
