//! The handle of a call in another process.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{Leaf, WaitKind};
use serde::de::DeserializeOwned;

use super::call::{Abandoned, Call};
use super::codec;
use super::error::ProcessError;
use super::roster::Roster;

/// A call in a process of a [`ProcessPoolExecutor`](super::ProcessPoolExecutor), and the future of its result.
///
/// The result is dropped with the handle where it was not awaited.
///
/// # Cancellation
///
/// Dropping the handle withdraws a call that has not begun: it is never sent. One that has begun can't be stopped: it
/// runs to its end, and its result is dropped.
///
/// # Errors
///
/// Why there is no result: see [`ProcessError`].
///
/// # Panics
///
/// Where it is awaited again after it has given its result.
#[doc(alias = "concurrent.futures.Future")]
#[must_use = "a call whose handle is dropped does not run unless it has begun; await it"]
pub struct ProcessJob<R> {
    call: Arc<Call>,
    roster: Arc<Roster>,
    leaf: Leaf,
    _result: PhantomData<fn() -> R>,
}

impl<R> ProcessJob<R> {
    pub(super) fn new(call: Arc<Call>, roster: Arc<Roster>) -> ProcessJob<R> {
        ProcessJob { call, roster, leaf: Leaf::new(), _result: PhantomData }
    }

    /// Whether the call has ended.
    #[doc(alias = "concurrent.futures.Future.done")]
    pub fn done(&self) -> bool {
        self.call.has_ended()
    }

    /// Whether the call has begun and, as far as we know, not ended.
    #[doc(alias = "concurrent.futures.Future.running")]
    pub fn running(&self) -> bool {
        self.call.worker().is_some_and(|worker| worker.has_begun(&self.call))
    }
}

impl<R: DeserializeOwned + 'static> Future for ProcessJob<R> {
    type Output = Result<R, ProcessError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.leaf.enter(cx));
        let Poll::Ready(outcome) = self.call.poll(cx.waker()) else {
            self.roster.look_after();
            self.leaf.wait(WaitKind::Thread);
            return Poll::Pending;
        };
        Poll::Ready(outcome.and_then(|bytes| {
            codec::decode(&bytes).map_err(|error| {
                let what = self.call.what;
                ProcessError::Unsendable(format!("the result of {what} could not be decoded: {error}"))
            })
        }))
    }
}

impl<R> Drop for ProcessJob<R> {
    fn drop(&mut self) {
        match self.call.abandon() {
            Abandoned::Over => {}
            Abandoned::Waiting => self.roster.withdrawn(),
            Abandoned::Sent(worker) => self.roster.recall(&worker),
        }
    }
}

impl<R> fmt::Debug for ProcessJob<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessJob")
            .field("function", &self.call.what.function)
            .field("running", &self.running())
            .field("done", &self.done())
            .finish()
    }
}
