//! Interrupting a turn, and never losing an interrupt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake};
use std::thread;
use std::time::{Duration, Instant};

use kumihimo_reactor::{Backend, Reactor, Turn, sleep};

use crate::executor::poll_once;
use crate::with_both_pollers;

with_both_pollers! {
    an_interrupt_ends_the_wait
    an_interrupt_before_the_wait_is_kept_by_a_look
    no_interrupt_is_lost
    no_earlier_deadline_of_a_parked_worker_is_missed
    a_deadline_of_a_worker_that_does_not_turn_is_served
}

/// How long a wait may take in these tests: one that takes longer was not ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Enters the reactor as its first worker with a deadline far away, so that a lost interrupt fails a test, not hangs it.
fn with_watchdog(reactor: &Reactor, test: impl FnOnce()) {
    let _entered = reactor.enter(0);
    let mut watchdog = Box::pin(sleep(PATIENCE));
    assert!(poll_once(watchdog.as_mut()).is_pending());
    test();
    assert!(poll_once(watchdog.as_mut()).is_pending(), "a wake-up was lost");
}

fn an_interrupt_ends_the_wait(backend: Backend) {
    let reactor = Reactor::with_backend(1, backend).unwrap();
    let other = reactor.clone();
    with_watchdog(&reactor, || {
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            other.interrupt();
            other.interrupt();
        });
        assert!(!reactor.turn(Turn::Wait));
        thread.join().unwrap();
    });
}

fn an_interrupt_before_the_wait_is_kept_by_a_look(backend: Backend) {
    let reactor = Reactor::with_backend(1, backend).unwrap();
    with_watchdog(&reactor, || {
        reactor.interrupt();
        reactor.turn(Turn::Poll);
        reactor.turn(Turn::Wait);
    });
}

/// One thread adds work and interrupts, the other waits whenever it sees none.
fn no_interrupt_is_lost(backend: Backend) {
    const ROUNDS: usize = 20_000;
    let reactor = Reactor::with_backend(1, backend).unwrap();
    let (posted, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    with_watchdog(&reactor, || {
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    posted.store(round, Ordering::Relaxed);
                    reactor.interrupt();
                    let begin = Instant::now();
                    while taken.load(Ordering::Relaxed) < round && begin.elapsed() < PATIENCE {
                        if round % 3 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
                    }
                    if taken.load(Ordering::Relaxed) < round {
                        return;
                    }
                }
            });
            let begin = Instant::now();
            while taken.load(Ordering::Relaxed) < ROUNDS && begin.elapsed() < PATIENCE {
                let seen = posted.load(Ordering::Relaxed);
                if taken.swap(seen, Ordering::Relaxed) == seen {
                    reactor.turn(Turn::Wait);
                }
            }
        });
    });
}

/// One worker sets a timer and parks, over and over; the other turns, and goes to sleep at any moment of that.
fn no_earlier_deadline_of_a_parked_worker_is_missed(backend: Backend) {
    const ROUNDS: usize = 3000;
    let reactor = Reactor::with_backend(2, backend).unwrap();
    let done = AtomicBool::new(false);
    with_watchdog(&reactor, || {
        thread::scope(|scope| {
            scope.spawn(|| {
                let _done = Done { flag: &done, reactor: &reactor };
                let _entered = reactor.enter(1);
                for round in 0..ROUNDS {
                    let mut sleep = Box::pin(sleep(Duration::from_micros(20 + (round % 50) as u64)));
                    let woken = Arc::new(Unpark { thread: thread::current(), flag: AtomicBool::new(false) });
                    let waker = woken.clone().into();
                    if sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                        reactor.before_park(1);
                        let begin = Instant::now();
                        while !woken.flag.load(Ordering::Acquire) && begin.elapsed() < PATIENCE {
                            thread::park_timeout(PATIENCE);
                        }
                        assert!(woken.flag.load(Ordering::Acquire), "round {round}: nobody fired the timer");
                    }
                }
            });
            while !done.load(Ordering::Acquire) {
                reactor.turn(Turn::Wait);
            }
        });
    });
}

/// Says, when dropped, that the other worker has ended, be it by a panic.
struct Done<'a> {
    flag: &'a AtomicBool,
    reactor: &'a Reactor,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Release);
        self.reactor.interrupt();
    }
}

/// Wakes a thread that is parked.
struct Unpark {
    thread: thread::Thread,
    flag: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn a_deadline_of_a_worker_that_does_not_turn_is_served(backend: Backend) {
    let reactor = Reactor::with_backend(2, backend).unwrap();
    let mut sleep = {
        let _entered = reactor.enter(1);
        let mut sleep = Box::pin(sleep(Duration::from_millis(3)));
        assert!(poll_once(sleep.as_mut()).is_pending());
        sleep
    };
    let begin = Instant::now();
    with_watchdog(&reactor, || while !reactor.turn(Turn::Wait) {});
    assert!(begin.elapsed() >= Duration::from_millis(3));
    let _entered = reactor.enter(0);
    assert!(poll_once(sleep.as_mut()).is_ready());
}
