//! A limit on how many connections are open at once.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Hands out a limited number of slots.
#[derive(Clone)]
pub(crate) struct Limiter(Arc<Mutex<State>>);

struct State {
    /// How many slots there are.
    most: usize,
    /// How many are taken; never above `most`.
    taken: usize,
    /// The one task that waits: the accept loop, or the shutdown after it.
    waiter: Option<Waker>,
}

/// One connection's right to be open. Dropping it, however its task ends, gives it back.
pub(crate) struct Slot(Limiter);

impl Limiter {
    pub(crate) fn new(most: usize) -> Limiter {
        Limiter(Arc::new(Mutex::new(State { most, taken: 0, waiter: None })))
    }

    /// Waits until a slot is free and takes it. One task may wait at a time.
    pub(crate) async fn slot(&self) -> Slot {
        self.wait_until(|state| state.taken < state.most, |state| state.taken += 1).await;
        Slot(self.clone())
    }

    /// Waits until every slot is back.
    pub(crate) async fn all_back(&self) {
        self.wait_until(|state| state.taken == 0, |_| ()).await;
    }

    /// How many slots are taken.
    pub(crate) fn taken(&self) -> usize {
        self.state().taken
    }

    async fn wait_until(&self, ready: impl Fn(&State) -> bool, then: impl Fn(&mut State)) {
        poll_fn(|cx| {
            let mut state = self.state();
            if ready(&state) {
                then(&mut state);
                return Poll::Ready(());
            }
            state.waiter = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway, so a poisoned lock still guards a good state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let waiter = {
            let mut state = self.0.state();
            state.taken -= 1;
            state.waiter.take()
        };
        // Woken without the lock, which is the first thing the woken task takes.
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use kumihimo::run;

    use super::*;

    #[test]
    fn no_more_slots_than_there_are() {
        let limiter = Limiter::new(2);
        let first = run(limiter.slot());
        let second = run(limiter.slot());
        assert!(limiter.slot().now_or_never().is_none());
        assert_eq!(limiter.taken(), 2);
        drop(first);
        let third = run(limiter.slot());
        assert!(limiter.all_back().now_or_never().is_none());
        drop((second, third));
        run(limiter.all_back());
    }

    #[test]
    fn a_slot_that_comes_back_wakes_the_waiter() {
        let limiter = Limiter::new(1);
        let taken = run(limiter.slot());
        let thread = std::thread::spawn(move || drop(taken));
        drop(run(limiter.slot()));
        thread.join().unwrap();
    }
}
