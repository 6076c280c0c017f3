//! Workers as they are: `Local::work`, with all of its queues.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use loom::thread;

use super::check;
use super::stage::{self, Bell, runtime_on, task, waker_of};
use crate::scheduler::{Entered, Local, Shared};
use crate::{create_task, yield_now};

/// Two workers, and what they are told.
struct House {
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    /// What is left to be done.
    left: AtomicUsize,
    stopped: AtomicBool,
    /// Told when nothing is left.
    done: Notify,
}

impl House {
    /// Workers that run until so much is done.
    fn open(workers: usize, work: usize) -> (Arc<House>, Vec<thread::JoinHandle<Local>>) {
        let bell = Arc::new(Bell::new());
        let (shared, locals) = runtime_on(workers, bell.clone());
        let house = House::new(shared, bell, work);
        let threads = house.start(locals);
        (house, threads)
    }

    fn new(shared: Arc<Shared>, bell: Arc<Bell>, work: usize) -> Arc<House> {
        let (left, stopped) = (AtomicUsize::new(work), AtomicBool::new(false));
        Arc::new(House { shared, bell, left, stopped, done: Notify::new() })
    }

    fn start(self: &Arc<House>, locals: Vec<Local>) -> Vec<thread::JoinHandle<Local>> {
        let threads = locals.into_iter().map(|local| {
            let house = self.clone();
            thread::spawn(move || {
                let entered = Entered::new(&local);
                house.shared.sleep.parkers().register(local.index);
                local.work(|| house.stopped.load(Relaxed));
                drop(entered);
                local
            })
        });
        threads.collect()
    }

    fn did(&self) {
        if self.left.fetch_sub(1, AcqRel) == 1 {
            self.done.notify();
        }
    }

    fn inject<F: Future + Send + 'static>(self: &Arc<House>, future: F) {
        let task = task(&self.shared, future);
        self.shared.inject(task.task());
        drop(task);
    }

    /// Waits until all is done, and stops the workers.
    fn close(&self, threads: Vec<thread::JoinHandle<Local>>) {
        // loom's `wait` may return for nothing.
        while self.left.load(Acquire) > 0 {
            self.done.wait();
        }
        self.stopped.store(true, Relaxed);
        self.shared.sleep.wake_all(|| self.shared.driver.interrupt());
        threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
        assert_eq!(self.shared.registry.len(), 0, "a task is left");
    }
}

/// A task from outside.
#[test]
fn a_task_from_outside() {
    check(1, || {
        let (house, threads) = House::open(2, 1);
        let inside = house.clone();
        house.inject(async move { inside.did() });
        house.close(threads);
    });
}

/// Two tasks from outside, for one worker.
#[test]
fn two_tasks_and_one_worker() {
    check(1, || {
        let (house, threads) = House::open(1, 2);
        for _ in 0..2 {
            let inside = house.clone();
            house.inject(async move { inside.did() });
        }
        house.close(threads);
    });
}

/// A task that gives way, and one that comes meanwhile.
#[test]
fn giving_way() {
    check(1, || {
        let (house, threads) = House::open(1, 2);
        let [first, second] = [house.clone(), house.clone()];
        house.inject(async move {
            yield_now().await;
            first.did();
        });
        house.inject(async move { second.did() });
        house.close(threads);
    });
}

/// A task creates another, which another worker may take out of the LIFO slot, and awaits it.
#[test]
fn a_child() {
    check(0, || {
        let (house, threads) = House::open(2, 1);
        let inside = house.clone();
        house.inject(async move {
            assert_eq!(create_task(async { 7 }).await, 7);
            inside.did();
        });
        house.close(threads);
    });
}

/// Blocks its worker until the other side has come too.
struct Meet(Arc<[Notify; 2]>, usize, Arc<House>);

impl Future for Meet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        let Meet(bells, me, house) = &*self;
        bells[1 - me].notify();
        bells[*me].wait();
        house.did();
        Poll::Ready(())
    }
}

/// Two tasks from outside, each of which blocks its worker until the other runs: both workers are woken.
#[test]
fn two_tasks_that_need_each_other() {
    check(0, || {
        let (house, threads) = House::open(2, 2);
        let bells = Arc::new([Notify::new(), Notify::new()]);
        for me in [0, 1] {
            house.inject(Meet(bells.clone(), me, house.clone()));
        }
        house.close(threads);
    });
}

/// A task creates two that block their workers until both run: one is in the queue, the other in the LIFO slot or taken
/// out by its own worker.
#[test]
fn two_children_that_need_each_other() {
    check(0, || {
        let (house, threads) = House::open(2, 2);
        let bells = Arc::new([Notify::new(), Notify::new()]);
        let inside = house.clone();
        house.inject(async move {
            for me in [0, 1] {
                drop(create_task(Meet(bells.clone(), me, inside.clone())));
            }
        });
        house.close(threads);
    });
}

/// Waits for an event first.
struct AfterEvent(bool, Meet);

impl Future for AfterEvent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Pin::new(&mut self.1).poll(cx) } else { Poll::Pending }
    }
}

/// An event readies a task on the worker in the poller, which a push may have claimed at the same time; the two tasks
/// need each other. The claimed worker found work of its own, and has to pass the word on before it runs that.
#[test]
fn an_event_and_a_task_that_need_each_other() {
    check(0, || {
        let bell = Arc::new(Bell::new());
        let (shared, locals) = runtime_on(2, bell.clone());
        let house = House::new(shared, bell, 2);
        let bells = Arc::new([Notify::new(), Notify::new()]);
        let waiting = task(&house.shared, AfterEvent(false, Meet(bells.clone(), 0, house.clone())));
        stage::run(waiting.task());
        let waker = waker_of(waiting.task());
        drop(waiting);
        let threads = house.start(locals);
        house.inject(Meet(bells, 1, house.clone()));
        house.bell.event(waker);
        house.close(threads);
    });
}
