//! loom models of the reactor's protocols: `RUSTFLAGS="--cfg kumihimo_loom" cargo test -p kumihimo-reactor --lib models`.
//!
//! Each has no preemption bound and takes well below a second. One switch in the model of edges is not explored by loom on
//! its own and stands there as a yield, so that one is not proof of all orders. Four have a twin in which one step is left
//! out, which loom must catch: there somebody sleeps for ever.

use std::sync::Arc;
use std::task::{Wake, Waker};

use kumihimo_context::model::check;
use loom::sync::Notify;
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use loom::thread;

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::interrupt::Interrupt;
use crate::readiness::{Direction, Learned, Readiness, Ready};
use crate::source::{Place, Source};
use crate::sync::Ordering::Relaxed;
use crate::sync::{Mutex, lock};
use crate::timers::{NEVER, Timers};

/// The poller's bell, and a turn that sleeps until it rings.
struct Turning {
    interrupt: Interrupt,
    alarm: Alarm,
    bell: Notify,
}

impl Turning {
    fn new() -> Arc<Turning> {
        Arc::new(Turning { interrupt: Interrupt::new(), alarm: Alarm::new(), bell: Notify::new() })
    }

    fn interrupt(&self) {
        if self.interrupt.request() {
            self.bell.notify();
        }
    }

    fn sleep(&self) {
        if self.interrupt.begin_wait() {
            self.bell.wait();
            self.interrupt.end_wait();
        }
    }
}

/// Somebody adds work and interrupts; the turning thread sleeps when it sees no work.
fn work_is_found(rings: bool) {
    check(None, move || {
        let (turning, work) = (Turning::new(), Arc::new(AtomicUsize::new(0)));
        let other = {
            let (turning, work) = (turning.clone(), work.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    work.fetch_add(1, Relaxed);
                    match rings {
                        true => turning.interrupt(),
                        false => _ = turning.interrupt.request(),
                    }
                }
            })
        };
        // Relaxed, so that only the interrupt carries the news.
        while work.load(Relaxed) < 2 {
            turning.sleep();
        }
        other.join().unwrap();
    });
}

#[test]
fn no_interrupt_is_lost() {
    work_is_found(true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_bell_an_interrupt_is_lost() {
    work_is_found(false);
}

/// A turn that only looks uses up a request: it sees what that was made for.
#[test]
fn who_takes_a_request_sees_why() {
    check(None, || {
        let (interrupt, work) = (Arc::new(Interrupt::new()), Arc::new(AtomicUsize::new(0)));
        let other = {
            let (interrupt, work) = (interrupt.clone(), work.clone());
            thread::spawn(move || {
                work.store(1, Relaxed);
                let _nobody_waits = interrupt.request();
            })
        };
        if interrupt.take() {
            assert_eq!(work.load(Relaxed), 1);
        }
        other.join().unwrap();
    });
}

/// A worker publishes a deadline and parks; the turning thread sleeps to what it knows.
fn deadline_is_kept(looks_again: bool) {
    check(None, move || {
        let (turning, deadline) = (Turning::new(), Arc::new(AtomicU64::new(NEVER)));
        let worker = {
            let (turning, deadline) = (turning.clone(), deadline.clone());
            thread::spawn(move || {
                deadline.store(5, Relaxed);
                if turning.alarm.is_late_for(5) {
                    turning.interrupt();
                }
            })
        };
        let stale = deadline.load(Relaxed);
        let slept_to = turning.alarm.set(|| if looks_again { deadline.load(Relaxed) } else { stale });
        if slept_to == NEVER {
            turning.sleep();
        }
        turning.alarm.clear();
        worker.join().unwrap();
    });
}

#[test]
fn no_deadline_of_a_parking_worker_is_missed() {
    deadline_is_kept(true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_second_look_a_deadline_is_missed() {
    deadline_is_kept(false);
}

/// A task that waits for its waker.
struct Task(Notify);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Which step of a reader is left out.
#[derive(Clone, Copy, PartialEq)]
enum LeftOut {
    Nothing,
    /// The look before the operation: it clears what it has not seen.
    LookBefore,
    /// The look after registering: it sleeps on a report that came before.
    LookAfter,
}

/// The system gets an item, which is an edge, while a reader tries a descriptor of which nothing is known.
fn edges_are_seen(left_out: LeftOut) {
    check(None, move || {
        let (source, items) = (Arc::new(Source::new(0)), Arc::new(Mutex::new(0)));
        let system = {
            let (source, items) = (source.clone(), items.clone());
            thread::spawn(move || {
                let mut wakers = Vec::new();
                *lock(&items) = 1;
                source.report(Ready::READABLE, false, &mut wakers);
                wakers.drain(..).for_each(Waker::wake);
            })
        };
        let task = Arc::new(Task(Notify::new()));
        let waker = Waker::from(task.clone());
        while !attempt(&source.readiness, &items, left_out) {
            source.wait(&mut Place::Slot, Direction::Read, &waker, |_| Ok(())).unwrap();
            if left_out == LeftOut::LookAfter || !source.readiness.load().worth_trying(Direction::Read) {
                task.0.wait();
            }
        }
        system.join().unwrap();
    });
}

/// Tries for the item, as long as that may be there; false if it is not.
fn attempt(readiness: &Readiness, items: &Mutex<usize>, left_out: LeftOut) -> bool {
    loop {
        let seen = readiness.load();
        if !seen.worth_trying(Direction::Read) {
            return false;
        }
        if std::mem::take(&mut *lock(items)) == 1 {
            return true;
        }
        // Without this point loom does not try to run the system here.
        thread::yield_now();
        let seen = if left_out == LeftOut::LookBefore { readiness.load() } else { seen };
        readiness.clear(seen, Direction::Read, Learned::Blocked);
    }
}

#[test]
fn no_edge_is_lost() {
    edges_are_seen(LeftOut::Nothing);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_look_before_an_edge_is_lost() {
    edges_are_seen(LeftOut::LookBefore);
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_look_after_an_edge_is_lost() {
    edges_are_seen(LeftOut::LookAfter);
}

/// Somebody waits for a descriptor while it is closed: it is woken, and knows why.
#[test]
fn who_waits_hears_of_the_close() {
    check(None, || {
        let source = Arc::new(Source::new(0));
        let closer = {
            let source = source.clone();
            thread::spawn(move || {
                assert!(source.close());
                source.wake_all();
            })
        };
        let task = Arc::new(Task(Notify::new()));
        let waker = Waker::from(task.clone());
        while !source.readiness.load().is_closed() {
            if source.wait(&mut Place::Slot, Direction::Read, &waker, |_| Ok(())).is_err() {
                break;
            }
            if !source.readiness.load().is_closed() {
                task.0.wait();
            }
        }
        closer.join().unwrap();
        assert!(source.readiness.load().is_closed());
    });
}

/// Counts how often it is woken, and publishes what its thread wrote before.
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A timer fires, here and by the turning thread, while its owner on another worker gives it up: it wakes at most once, and
/// exactly once unless it was given up in time.
#[test]
fn a_timer_fires_or_is_cancelled() {
    check(None, || {
        let timers = Arc::new(Timers::new(2, 0));
        let counted = Arc::new(Counted(AtomicUsize::new(0)));
        let (key, _) = timers.shard(0).insert(10, Waker::from(counted.clone()));
        let owner = {
            let shard = timers.shard(0).clone();
            thread::spawn(move || shard.cancel(key).is_some())
        };
        let turning = {
            let timers = timers.clone();
            thread::spawn(move || timers.fire_all(1, 10))
        };
        timers.fire_due(0, 10);
        let cancelled = owner.join().unwrap();
        turning.join().unwrap();
        timers.fire_due(0, 10);
        assert_eq!(counted.0.load(Relaxed), usize::from(!cancelled));
    });
}

/// A sleep is moved to another waker while its time comes: the last waker is woken, or the owner knows that it has fired.
#[test]
fn a_timer_fires_or_is_renewed() {
    check(None, || {
        let timers = Arc::new(Timers::new(1, 0));
        let (first, second) =
            (Arc::new(Counted(AtomicUsize::new(0))), Arc::new(Counted(AtomicUsize::new(0))));
        let (key, _) = timers.shard(0).insert(10, Waker::from(first.clone()));
        let owner = {
            let (shard, waker) = (timers.shard(0).clone(), Waker::from(second.clone()));
            thread::spawn(move || shard.renew(key, &waker))
        };
        timers.fire_all(0, 10);
        let renewed = owner.join().unwrap();
        let woken = (first.0.load(Relaxed), second.0.load(Relaxed));
        assert_eq!(woken, if renewed { (0, 1) } else { (1, 0) });
    });
}

/// A blocking job wakes its task and releases the clock: whoever finds that the clock may advance also finds the task woken.
#[test]
fn the_clock_waits_for_what_a_job_has_woken() {
    check(None, || {
        let clock = Arc::new(Clock::new());
        clock.pause();
        clock.hold();
        let woken = Arc::new(AtomicUsize::new(0));
        let job = {
            let (clock, woken) = (clock.clone(), woken.clone());
            thread::spawn(move || {
                woken.store(1, Relaxed);
                clock.release();
            })
        };
        if clock.may_auto_advance() {
            assert_eq!(woken.load(Relaxed), 1, "the clock would advance past a task that is ready");
        }
        job.join().unwrap();
    });
}

/// The clock is resumed while another worker reads it: a time that is read after the resumption counts from it.
#[test]
fn a_resumed_clock_does_not_go_back() {
    check(None, || {
        let clock = Arc::new(Clock::new());
        clock.pause();
        let start = clock.now();
        clock.advance_to(start.as_nanos() + 1_000);
        let resumer = {
            let clock = clock.clone();
            thread::spawn(move || clock.resume())
        };
        assert!(clock.now().as_nanos() >= start.as_nanos() + 1_000);
        assert!(resumer.join().unwrap());
        assert!(clock.now().as_nanos() >= start.as_nanos() + 1_000);
    });
}
