//! The smallest loop: one future, one reactor, one thread.

use std::future::Future;
use std::io::{Write, stderr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use kumihimo_reactor::{Reactor, Turn};

/// Longer than any test here takes; a lost wake-up ends the process instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Woken {
    /// Set by a wake-up, cleared before a poll.
    yes: AtomicBool,
    /// What waits while the future is suspended.
    reactor: Reactor,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the swap in `run`; what the waker did is seen by the poll.
        self.yes.store(true, Ordering::Release);
        self.reactor.interrupt();
    }
}

/// Runs a future to its end on a reactor of its own.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let _watched = watch();
    let reactor = Reactor::new(1).unwrap();
    let _worker = reactor.enter(0);
    let woken = Arc::new(Woken { yes: AtomicBool::new(true), reactor: reactor.clone() });
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    loop {
        // Acquire: pairs with the store in `wake`.
        if woken.yes.swap(false, Ordering::Acquire) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        } else {
            reactor.turn(Turn::Wait);
        }
    }
}

/// Ends the process if the sender that it returns lives for too long.
pub(crate) fn watch() -> mpsc::Sender<()> {
    let (alive, watched) = mpsc::channel();
    let test = thread::current().name().unwrap_or("?").to_string();
    thread::spawn(move || {
        if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln`, which the test harness would keep to itself.
            let _ = writeln!(
                stderr(),
                "test {test} has waited for {PATIENCE:?}: a wake-up was lost, or a helper thread panicked"
            );
            std::process::abort();
        }
    });
    alive
}
