//! The signal that tells every connection to finish.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A flag that is set once and that any number of tasks can wait for.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Changes once, under `waiting`'s lock, so that nobody registers too late to be woken.
    set: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The key of the next waiter.
    next: u64,
    wakers: HashMap<u64, Waker>,
}

impl Stop {
    /// Sets the flag and wakes everybody who waits for it.
    pub(crate) fn set(&self) {
        let wakers = {
            let mut waiting = self.waiting();
            self.0.set.store(true, Ordering::Release);
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// Waits until the flag is set.
    pub(crate) fn wait(&self) -> Wait {
        Wait { stop: self.clone(), registered: None }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Stop::wait`]. Polling it again costs no lock.
pub(crate) struct Wait {
    stop: Stop,
    /// The key and the waker that are in `wakers`.
    registered: Option<(u64, Waker)>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let wait = &mut *self;
        // Pairs with the Release in `set`.
        if wait.stop.0.set.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if wait.registered.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut waiting = wait.stop.waiting();
        // Set between the look above and the lock: `set` has already emptied the map.
        if wait.stop.0.set.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let key = match wait.registered {
            Some((key, _)) => key,
            None => {
                waiting.next += 1;
                waiting.next
            }
        };
        waiting.wakers.insert(key, cx.waker().clone());
        drop(waiting);
        wait.registered = Some((key, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some((key, _)) = self.registered {
            self.stop.waiting().wakers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use kumihimo::run;

    use super::*;

    #[test]
    fn everybody_is_woken_and_nothing_is_left() {
        let stop = Stop::default();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let wait = stop.wait();
                std::thread::spawn(move || run(wait))
            })
            .collect();
        let mut given_up = stop.wait();
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        stop.set();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        run(stop.wait());
        assert!(stop.waiting().wakers.is_empty());
    }
}
