//! Turns and time: real deadlines, and a paused clock.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use kumihimo_reactor::{Async, Backend, Turn, sleep};

use crate::executor::{Executor, poll_once};
use crate::with_both_pollers;

with_both_pollers! {
    sleeps_end_and_never_early
    a_turn_that_looks_does_not_wait
    a_paused_clock_advances_when_nobody_runs
    a_paused_clock_advances_only_after_what_is_ready
    a_paused_clock_stands_while_somebody_may_run_or_a_job_is_open
    without_deadlines_a_paused_clock_waits_for_the_descriptors
}

const HOUR: Duration = Duration::from_secs(3600);

fn sleeps_end_and_never_early(backend: Backend) {
    let mut executor = Executor::new(backend);
    let log = Rc::new(RefCell::new(Vec::new()));
    let begin = Instant::now();
    for millis in [9, 3, 6, 0, 12] {
        let log = log.clone();
        executor.spawn(async move {
            sleep(Duration::from_millis(millis)).await;
            assert!(begin.elapsed() >= Duration::from_millis(millis));
            log.borrow_mut().push(millis);
        });
    }
    executor.run();
    // Those that are late together are polled in any order; the order of waking is for a paused clock to show.
    log.borrow_mut().sort();
    assert_eq!(*log.borrow(), [0, 3, 6, 9, 12]);
}

fn a_turn_that_looks_does_not_wait(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let mut sleep = pin!(sleep(HOUR));
    assert!(poll_once(sleep.as_mut()).is_pending());
    assert!(!executor.reactor.turn(Turn::Poll));
}

fn a_paused_clock_advances_when_nobody_runs(backend: Backend) {
    let executor = Executor::new(backend);
    let reactor = &executor.reactor;
    let _entered = reactor.enter(0);
    reactor.pause();
    let start = reactor.now();
    let (mut short, mut long) = (pin!(sleep(HOUR)), pin!(sleep(2 * HOUR)));
    assert!(poll_once(short.as_mut()).is_pending() && poll_once(long.as_mut()).is_pending());
    assert!(reactor.turn(Turn::WaitAlone));
    assert_eq!(reactor.now(), start + HOUR);
    assert!(poll_once(short.as_mut()).is_ready() && poll_once(long.as_mut()).is_pending());
    assert!(reactor.turn(Turn::WaitAlone));
    assert_eq!(reactor.now(), start + 2 * HOUR);
    assert!(poll_once(long.as_mut()).is_ready());
}

fn a_paused_clock_advances_only_after_what_is_ready(backend: Backend) {
    let executor = Executor::new(backend);
    let reactor = &executor.reactor;
    let _entered = reactor.enter(0);
    reactor.pause();
    let start = reactor.now();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    let (mut sleep, mut readable) = (pin!(sleep(HOUR)), pin!(near.readable()));
    assert!(poll_once(sleep.as_mut()).is_pending() && poll_once(readable.as_mut()).is_pending());
    far.write_all(b"x").unwrap();
    assert!(reactor.turn(Turn::WaitAlone));
    assert!(poll_once(readable.as_mut()).is_ready());
    assert_eq!(reactor.now(), start);
    // An interrupt says that there may be work: time waits for that.
    reactor.interrupt();
    assert!(!reactor.turn(Turn::WaitAlone));
    assert_eq!(reactor.now(), start);
    assert!(reactor.turn(Turn::WaitAlone));
    assert_eq!(reactor.now(), start + HOUR);
}

fn a_paused_clock_stands_while_somebody_may_run_or_a_job_is_open(backend: Backend) {
    let executor = Executor::new(backend);
    let reactor = &executor.reactor;
    let _entered = reactor.enter(0);
    reactor.pause();
    let start = reactor.now();
    let mut sleep = pin!(sleep(HOUR));
    assert!(poll_once(sleep.as_mut()).is_pending());
    for (turn, hold) in [(Turn::Wait, None), (Turn::WaitAlone, Some(reactor.hold_clock()))] {
        let other = reactor.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            // The end of the job interrupts by itself; the other worker says that it parks.
            if hold.is_none() { other.before_park(0) } else { drop(hold) }
        });
        assert!(!reactor.turn(turn));
        assert_eq!(reactor.now(), start);
        thread.join().unwrap();
    }
    // The job's end was an interrupt, which may be used up or not.
    while !reactor.turn(Turn::WaitAlone) {}
    assert_eq!(reactor.now(), start + HOUR);
}

fn without_deadlines_a_paused_clock_waits_for_the_descriptors(backend: Backend) {
    let executor = Executor::new(backend);
    let reactor = &executor.reactor;
    let _entered = reactor.enter(0);
    reactor.pause();
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    let mut readable = pin!(near.readable());
    assert!(poll_once(readable.as_mut()).is_pending());
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        far.write_all(b"x").unwrap();
        far
    });
    while poll_once(readable.as_mut()).is_pending() {
        reactor.turn(Turn::WaitAlone);
    }
    thread.join().unwrap();
}
