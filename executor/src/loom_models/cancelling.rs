//! Requests to cancel against the steps of the task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kumihimo_context::{self as context, Scoped};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::check;
use super::stage::{self, drain, home, run, task, waker_of};

/// Requests from two threads, and what came of them. Relaxed: only the request carries what was written before it.
#[derive(Default)]
struct Requests {
    made: [AtomicBool; 2],
    /// Cancellations that were delivered.
    delivered: AtomicUsize,
    /// Which requests a delivery has seen.
    seen: [AtomicBool; 2],
}

/// Catches every cancellation, and ends after so many, or never.
struct Catcher {
    requests: Arc<Requests>,
    ends_after: usize,
}

impl Future for Catcher {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        let Catcher { requests, ends_after } = &*self;
        if let Scoped::Cancelled(_) = context::scope(|| Poll::<()>::Pending) {
            for (made, seen) in requests.made.iter().zip(&requests.seen) {
                seen.store(seen.load(Relaxed) || made.load(Relaxed), Relaxed);
            }
            let delivered = requests.delivered.load(Relaxed) + 1;
            requests.delivered.store(delivered, Relaxed);
            if delivered == *ends_after {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// Two threads cancel a task that catches everything. Each request is answered by a delivery that begins after it; none is
/// delivered twice, and none is left.
#[test]
fn two_requests() {
    check(2, || {
        let (home, requests) = (home(), Arc::new(Requests::default()));
        let catcher = task(&home, Catcher { requests: requests.clone(), ends_after: usize::MAX });
        // It has begun, so a request does not drop it unpolled.
        run(catcher.task());
        let others = [0, 1].map(|who| {
            let (home, requests, handle) = (home.clone(), requests.clone(), catcher.handle());
            thread::spawn(move || {
                requests.made[who].store(true, Relaxed);
                assert!(handle.cancel());
                drop(handle);
                drain(&home);
            })
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        drain(&home);
        for seen in &requests.seen {
            assert!(seen.load(Relaxed), "a request was lost");
        }
        let delivered = requests.delivered.load(Relaxed);
        assert!((1..=2).contains(&delivered), "{delivered} deliveries for 2 requests");
        assert!(!catcher.task().header().state.is_cancel_requested(), "a request is left over");
        assert_eq!(catcher.cancelling(), 2);
        abandon(catcher.task());
    });
}

/// A request comes during a step, or before, or after, together with a wake-up.
#[test]
fn a_request_and_a_wake_up() {
    check(2, || {
        let (home, requests) = (home(), Arc::new(Requests::default()));
        let catcher = task(&home, Catcher { requests: requests.clone(), ends_after: usize::MAX });
        run(catcher.task());
        home.injector.push(catcher.task());
        let _scheduled = catcher.task().header().state.wake(false, false);
        let canceller = {
            let (requests, handle) = (requests.clone(), catcher.handle());
            thread::spawn(move || {
                requests.made[0].store(true, Relaxed);
                assert!(handle.cancel());
            })
        };
        let waker = waker_of(catcher.task());
        let waker = thread::spawn(move || waker.wake());
        drain(&home);
        canceller.join().unwrap();
        waker.join().unwrap();
        drain(&home);
        assert!(requests.seen[0].load(Relaxed), "the request was lost");
        assert_eq!(requests.delivered.load(Relaxed), 1, "a request is delivered once");
        abandon(catcher.task());
    });
}

/// The request meets the last step: it is delivered, or ends the task cancelled, or comes too late.
#[test]
fn a_request_and_the_end() {
    check(2, || {
        let (home, requests) = (home(), Arc::new(Requests::default()));
        let catcher = task(&home, Catcher { requests: requests.clone(), ends_after: 1 });
        run(catcher.task());
        let others = [0, 1].map(|who| {
            let (home, requests, handle) = (home.clone(), requests.clone(), catcher.handle());
            thread::spawn(move || {
                requests.made[who].store(true, Relaxed);
                let accepted = handle.cancel();
                drop(handle);
                drain(&home);
                accepted
            })
        });
        let accepted = others.into_iter().filter_map(|other| other.join().ok()).filter(|yes| *yes).count();
        drain(&home);
        assert!(catcher.done(), "a request was lost");
        assert_eq!(requests.delivered.load(Relaxed), 1);
        assert!(accepted >= 1);
    });
}

/// A request before the first step drops the future unpolled, or is delivered to it.
#[test]
fn a_request_and_the_first_step() {
    check(2, || {
        let (home, requests) = (home(), Arc::new(Requests::default()));
        let catcher = task(&home, Catcher { requests: requests.clone(), ends_after: 1 });
        let canceller = {
            let (home, handle) = (home.clone(), catcher.handle());
            thread::spawn(move || {
                assert!(handle.cancel());
                drop(handle);
                drain(&home);
            })
        };
        run(catcher.task());
        canceller.join().unwrap();
        drain(&home);
        assert!(catcher.done(), "the request was lost");
        assert_eq!(usize::from(!catcher.cancelled()), requests.delivered.load(Relaxed));
    });
}

/// A request is taken back while another comes: the other is delivered.
#[test]
fn a_request_taken_back() {
    check(2, || {
        let (home, requests) = (home(), Arc::new(Requests::default()));
        let catcher = task(&home, Catcher { requests: requests.clone(), ends_after: usize::MAX });
        run(catcher.task());
        let _scheduled = catcher.task().header().state.wake(false, false);
        home.injector.push(catcher.task());
        let other = {
            let (requests, handle) = (requests.clone(), catcher.handle());
            thread::spawn(move || {
                requests.made[1].store(true, Relaxed);
                assert!(handle.cancel());
            })
        };
        let fickle = {
            let handle = catcher.handle();
            thread::spawn(move || {
                assert!(handle.cancel());
                handle.uncancel()
            })
        };
        drain(&home);
        other.join().unwrap();
        fickle.join().unwrap();
        drain(&home);
        assert_eq!(catcher.cancelling(), 1);
        assert!(requests.seen[1].load(Relaxed), "a request that nobody took back was lost");
        abandon(catcher.task());
    });
}

/// Ends a task that would go on for ever.
fn abandon(task: crate::task::header::TaskRef) {
    assert!(task.header().state.seize(), "the task is still in a queue");
    stage::abandon(task);
}
