//! Locks, events, conditions, semaphores, barriers and queues through the facade: what users do to them, wisely or not, on every
//! kind of loop, in plain threads, and on executors that are not ours.

mod bad_input;
mod crowds;
mod giving_up;
mod inspection;
mod panics;
mod regressions;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod wakers;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use support::{Flavour, millis, on};

/// A future that may go anywhere.
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
    Box::pin(future)
}

/// Runs a test on every flavour, each with a mock clock, and tells it which.
fn on_each<F: Future<Output = ()>>(test: impl Fn(Flavour) -> F) {
    Flavour::ALL.into_iter().for_each(|flavour| on(flavour, test(flavour)));
}

/// Returns when nobody has anything to do: only then the mock clock moves on.
async fn settle() {
    kumihimo::sleep(millis(1)).await;
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Wakes {
    fn new() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::<Wakes>::default();
        (wakes.clone(), Waker::from(wakes))
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// Polls a future once, outside of everything; nobody hears of it when it could go on.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn waits<F: Future + ?Sized>(future: Pin<&mut F>) -> bool {
    poll_once(future).is_pending()
}
