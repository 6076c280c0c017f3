//! Sleeping and waking, with workers in their essential form: search, announce, look again, wait, withdraw.

use std::sync::Arc;

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use loom::thread;

use super::check;
use super::stage::Bell;
use crate::driver::{Driver, Turn};
use crate::sleep::{Rest, Sleep, WATCH};
use crate::sync::deque::{Injector, Steal};

const WORKERS: usize = 2;

/// Work that any worker may take, and work for one.
struct Stage {
    sleep: Sleep,
    bell: Bell,
    queue: Injector<()>,
    inboxes: [Injector<()>; WORKERS],
    /// Items taken so far, of how many.
    taken: AtomicUsize,
    items: usize,
    stopped: AtomicBool,
}

impl Stage {
    fn new(items: usize) -> Arc<Stage> {
        Arc::new(Stage {
            sleep: Sleep::new(WORKERS),
            bell: Bell::new(),
            queue: Injector::new(),
            inboxes: [Injector::new(), Injector::new()],
            taken: AtomicUsize::new(0),
            items,
            stopped: AtomicBool::new(false),
        })
    }

    fn push(&self) {
        self.queue.push(());
        self.sleep.notify(|| self.bell.interrupt());
    }

    fn push_to(&self, worker: usize) {
        self.inboxes[worker].push(());
        self.sleep.wake_worker(worker, || self.bell.interrupt());
    }

    fn stop(&self) {
        self.stopped.store(true, Relaxed);
        self.sleep.wake_all(|| self.bell.interrupt());
    }

    /// Whoever takes the last item stops everybody.
    fn took(&self) {
        if self.taken.fetch_add(1, Relaxed) + 1 == self.items {
            self.stop();
        }
    }

    fn is_work_left(&self, worker: usize) -> bool {
        !self.queue.is_empty() || !self.inboxes[worker].is_empty() || self.stopped.load(Relaxed)
    }

    fn work(&self, worker: usize) {
        self.sleep.parkers().register(worker);
        let mut searching = false;
        while !self.stopped.load(Relaxed) {
            let found = self.find(worker, &mut searching);
            if found && std::mem::take(&mut searching) {
                // As `Local::found_work`.
                if self.sleep.end_search() && self.is_work_left(worker) {
                    self.sleep.hint(|| self.bell.interrupt());
                }
            }
            match found {
                true => self.took(),
                false => self.rest(worker, &mut searching),
            }
        }
    }

    fn find(&self, worker: usize, searching: &mut bool) -> bool {
        if self.inboxes[worker].steal().is_success() {
            return true;
        }
        if !*searching {
            *searching = self.sleep.begin_search(WORKERS);
        }
        *searching
            && loop {
                match self.queue.steal() {
                    Steal::Success(()) => break true,
                    Steal::Empty => break false,
                    Steal::Retry => {}
                }
            }
    }

    fn rest(&self, worker: usize, searching: &mut bool) {
        let mut rest = self.sleep.announce(worker, std::mem::take(searching));
        let nothing = !self.is_work_left(worker);
        if nothing {
            self.sleep.settle();
            loop {
                match rest {
                    Rest::Claimed => break,
                    Rest::Poller { alone, watch } => {
                        self.bell.turn(Turn::Wait { alone, limit: watch.then_some(WATCH) });
                    }
                    Rest::Parker { watch } => self.sleep.parkers().park(watch.then_some(WATCH)),
                }
                if self.is_work_left(worker) {
                    break;
                }
                rest = self.sleep.look_up(worker);
            }
        }
        *searching = self.sleep.withdraw(worker);
        if !nothing {
            self.sleep.settle();
        }
        if !*searching && self.is_work_left(worker) {
            self.sleep.join_search();
            *searching = true;
        }
    }
}

fn workers(stage: &Arc<Stage>, count: usize) -> Vec<thread::JoinHandle<()>> {
    let work = |worker| {
        let stage = stage.clone();
        thread::spawn(move || stage.work(worker))
    };
    (0..count).map(work).collect()
}

/// One push, two workers: somebody takes it, and everybody hears of the end. One worker at a time is in the poller
/// (asserted by the driver).
#[test]
fn a_push() {
    check(2, || {
        let stage = Stage::new(1);
        let workers = workers(&stage, 2);
        stage.push();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Two pushes from two threads, one worker.
#[test]
fn two_pushers_and_one_worker() {
    check(2, || {
        let stage = Stage::new(2);
        let workers = workers(&stage, 1);
        let other = {
            let stage = stage.clone();
            thread::spawn(move || stage.push())
        };
        stage.push();
        other.join().unwrap();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Two items, each of which holds its worker until the other is taken too: the second push may rely on the searcher that
/// takes the first item, and that one has to pass the word on.
#[test]
fn two_items_that_need_each_other() {
    check(2, || {
        let stage = Stage::new(2);
        let met = Arc::new([Notify::new(), Notify::new()]);
        let workers = [0, 1].map(|worker| {
            let (stage, met) = (stage.clone(), met.clone());
            thread::spawn(move || {
                stage.sleep.parkers().register(worker);
                let mut searching = false;
                while !stage.find(worker, &mut searching) {
                    stage.rest(worker, &mut searching);
                }
                if std::mem::take(&mut searching) && stage.sleep.end_search() && stage.is_work_left(worker) {
                    stage.sleep.hint(|| stage.bell.interrupt());
                }
                met[1 - worker].notify();
                met[worker].wait();
            })
        });
        stage.push();
        stage.push();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Work for one worker only, and work for any: both are done.
#[test]
fn a_push_to_an_inbox() {
    check(2, || {
        let stage = Stage::new(2);
        let workers = workers(&stage, 2);
        stage.push_to(1);
        stage.push();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Everybody is told to stop, with nothing to do.
#[test]
fn everybody_is_woken() {
    check(2, || {
        let stage = Stage::new(1);
        let workers = workers(&stage, 2);
        stage.stop();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// How a busy worker leaves the poller to others.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    /// It looked in passing.
    Released,
    /// It expects a long poll.
    HandedOver,
    /// It leaves something in its LIFO slot.
    Watched,
}

/// A worker is in a poll that ends only with an event, and the other one is idle: that one must come to the poller, by
/// itself or because it is called.
fn the_poller_is_attended(leaving: Leaving) {
    check(3, move || {
        let stage = Stage::new(1);
        let event = Arc::new((AtomicBool::new(false), Notify::new(), AtomicBool::new(false)));
        let idle = {
            let (stage, event) = (stage.clone(), event.clone());
            thread::spawn(move || {
                stage.sleep.parkers().register(1);
                attend(&stage, &event.0, leaving == Leaving::Watched);
                event.2.store(true, Relaxed);
                event.1.notify();
            })
        };
        if stage.sleep.try_take_baton(0) {
            stage.bell.turn(Turn::Poll);
            stage.sleep.release_baton(0);
        }
        match leaving {
            Leaving::Released => {}
            Leaving::HandedOver => stage.sleep.hand_over(),
            Leaving::Watched => stage.sleep.ensure_watch(|| stage.bell.interrupt()),
        }
        // The long poll begins; the event comes.
        event.0.store(true, Relaxed);
        stage.bell.interrupt();
        while leaving == Leaving::Watched && !event.2.load(Relaxed) {
            // Each push to a LIFO slot tries again.
            stage.sleep.ensure_watch(|| stage.bell.interrupt());
            thread::yield_now();
        }
        event.1.wait();
        idle.join().unwrap();
    });
}

/// An idle worker, until it has seen the event in the poller; or until it was made the watcher.
fn attend(stage: &Stage, event: &AtomicBool, until_watcher: bool) {
    let mut rest = stage.sleep.announce(1, false);
    stage.sleep.settle();
    let mut seen_turns = None;
    loop {
        match rest {
            Rest::Claimed => panic!("nobody has claimed it"),
            Rest::Poller { alone, watch } => {
                stage.bell.turn(Turn::Wait { alone, limit: watch.then_some(WATCH) });
                if event.load(Relaxed) && !until_watcher {
                    break;
                }
            }
            Rest::Parker { watch } => stage.sleep.parkers().park(watch.then_some(WATCH)),
        }
        rest = stage.sleep.look_up(1);
        if let Rest::Poller { watch: true, .. } | Rest::Parker { watch: true } = rest {
            if until_watcher {
                break;
            }
            let turns = stage.sleep.turns();
            if seen_turns.replace(turns) == Some(turns) && stage.sleep.take_over(1) {
                rest = stage.sleep.look_up(1);
            }
        }
    }
    let _claimed = stage.sleep.withdraw(1);
}

#[test]
fn a_released_poller_is_taken_over() {
    the_poller_is_attended(Leaving::Released);
}

#[test]
fn a_poller_is_handed_over() {
    the_poller_is_attended(Leaving::HandedOver);
}

#[test]
fn a_watcher_is_appointed() {
    the_poller_is_attended(Leaving::Watched);
}
