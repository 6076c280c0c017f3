//! What the unit tests share: wakers that keep a log.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::reactor::Reactor;

/// A log of who was woken, in order.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Vec<usize>>>);

/// The waker's inside: writes its number into the log.
struct Logs(usize, Log);

impl Wake for Logs {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().push(self.0);
    }
}

impl Log {
    pub(crate) fn new() -> Log {
        Log(Arc::default())
    }

    pub(crate) fn waker(&self, id: usize) -> Waker {
        Waker::from(Arc::new(Logs(id, self.clone())))
    }

    /// Who was woken since the last call.
    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// How many different wakers of this log are alive somewhere.
    pub(crate) fn wakers(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

pub(crate) fn reactor(workers: usize) -> Reactor {
    Reactor::new(workers).unwrap()
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}
