//! What can be seen of the primitives, at any moment and from anywhere, and what they print.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use kumihimo as asyncio;
use kumihimo::{
    Barrier, BoundedSemaphore, Condition, Event, LifoQueue, Lock, LockGuard, PriorityQueue, Queue, Semaphore,
};

use crate::support::{Flavour, everywhere, on, within_patience};
use crate::{on_each, settle, waits};

#[test]
fn a_lock_shows_its_holder_and_its_waiters() {
    on_each(async |flavour| {
        let lock = Lock::with_value(7);
        assert_eq!(format!("{lock:?}"), "Lock { value: 7, waiting: 0 }");
        let guard = lock.acquire().await;
        let (mut first, mut second) = (pin!(lock.acquire()), Box::pin(lock.acquire()));
        assert!(waits(first.as_mut()) && waits(second.as_mut()));
        let statistics = lock.statistics();
        assert!(statistics.locked && statistics.waiting == 2, "{statistics:?}");
        assert_eq!(format!("{lock:?}"), "Lock { value: <locked>, waiting: 2 }");
        assert_eq!(format!("{guard:?} {guard}"), "LockGuard(7) 7");
        drop(second);
        assert_eq!(lock.statistics().waiting, 1);
        drop(guard);
        // It was given to the first, which has not run since; in asyncio's order that is not the same as having it.
        assert_eq!(lock.locked(), flavour != Flavour::CurrentThread);
        assert!(lock.try_acquire().is_none());
        assert_eq!(lock.statistics().waiting, 0);
        assert_eq!(*first.await, 7);
    });
}

#[test]
fn a_semaphore_shows_its_permits_and_its_waiters() {
    on_each(async |flavour| {
        let (semaphore, bounded) = (Semaphore::new(2), BoundedSemaphore::new(1));
        let permits = [semaphore.acquire().await, semaphore.acquire().await];
        let mut waiter = pin!(semaphore.acquire());
        assert!(waits(waiter.as_mut()) && semaphore.locked());
        assert_eq!(format!("{semaphore:?} {bounded:?}"), {
            "Semaphore { value: 0, waiting: 1 } BoundedSemaphore { value: 1, waiting: 0 }"
        });
        drop(permits);
        // One was given to the waiter; in asyncio's order nobody overtakes that, not even for another permit.
        let statistics = semaphore.statistics();
        assert_eq!((statistics.value, statistics.waiting), (1, 0));
        if flavour == Flavour::CurrentThread {
            assert!(semaphore.locked() && semaphore.try_acquire().is_none());
        }
        let _permit = waiter.await;
        assert!(!semaphore.locked() && semaphore.try_acquire().is_some());
    });
}

#[test]
fn events_and_conditions_show_who_waits() {
    everywhere(async || {
        let event = Event::new();
        let mut wait = pin!(event.wait());
        assert!(waits(wait.as_mut()));
        assert_eq!(format!("{event:?}"), "Event { set: false, waiting: 1 }");
        event.set();
        assert_eq!(format!("{event:?}"), "Event { set: true, waiting: 0 }");
        wait.await;

        let condition = Condition::with_value(1);
        let mut guard = condition.acquire().await;
        let mut wait = Box::pin(condition.wait(&mut guard));
        assert!(waits(wait.as_mut()));
        let statistics = condition.statistics();
        assert_eq!((statistics.waiting, statistics.lock.locked, statistics.lock.waiting), (1, false, 0));
        assert_eq!(format!("{condition:?}"), "Condition { lock: Lock { value: 1, waiting: 0 }, waiting: 1 }");
        let other = condition.acquire().await;
        condition.notify(1);
        assert!(waits(wait.as_mut()));
        let statistics = condition.statistics();
        assert_eq!((statistics.waiting, statistics.lock.locked, statistics.lock.waiting), (0, true, 1));
        drop(other);
        wait.await;
        assert!(LockGuard::is_held(&guard) && condition.locked());
    });
}

#[test]
fn barriers_and_queues_show_who_waits() {
    everywhere(async || {
        let barrier = Arc::new(Barrier::new(3));
        let parties: Vec<_> = (0..2)
            .map(|_| {
                let barrier = barrier.clone();
                asyncio::create_task(async move { barrier.wait().await })
            })
            .collect();
        settle().await;
        let statistics = barrier.statistics();
        assert_eq!((statistics.parties, statistics.waiting, statistics.broken), (3, 2, false));
        assert_eq!(format!("{barrier:?}"), "Barrier { parties: 3, phase: Filling, inside: 2 }");
        barrier.wait().await.unwrap();
        for party in parties {
            party.await.unwrap();
        }
        assert_eq!((barrier.n_waiting(), barrier.statistics().waiting), (0, 0));

        let queue = Queue::new(1);
        let mut get = Box::pin(queue.get());
        assert!(waits(get.as_mut()) && queue.statistics().getters == 1);
        drop(get);
        queue.put_nowait('a').unwrap();
        let (mut put, mut join) = (pin!(queue.put('b')), pin!(queue.join()));
        assert!(waits(put.as_mut()) && waits(join.as_mut()));
        let statistics = queue.statistics();
        assert_eq!((statistics.size, statistics.maxsize, statistics.unfinished), (1, 1, 1));
        assert_eq!((statistics.getters, statistics.putters, statistics.joiners), (0, 1, 1));
        assert!(queue.full() && !queue.empty() && !statistics.shut_down);
        let shown = "Queue { size: 1, maxsize: 1, unfinished: 1, shut_down: false, .. }";
        assert_eq!(format!("{queue:?}"), shown);
    });
}

/// A value that looks at what it stands in.
#[derive(Default)]
struct Curious(std::sync::OnceLock<Arc<Lock<Curious>>>);

impl fmt::Debug for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().unwrap().fmt(f)
    }
}

#[test]
fn showing_a_lock_whose_value_shows_the_lock_ends() {
    within_patience("a plain thread", || {
        let lock = Arc::new(Lock::with_value(Curious::default()));
        assert!(lock.try_acquire().unwrap().0.set(lock.clone()).is_ok());
        let shown = format!("{lock:?}");
        assert_eq!(shown, "Lock { value: Lock { value: <locked>, waiting: 0 }, waiting: 0 }");
        assert!(!lock.locked());
        // They hold each other.
        lock.try_acquire().unwrap().0.take();
    });
}

#[test]
fn everything_can_be_shown_while_it_is_used() {
    for flavour in Flavour::ALL {
        on(flavour, async {
            let lock = Arc::new(Lock::with_value(0));
            let semaphore = Arc::new(Semaphore::new(2));
            let (event, barrier) = (Arc::new(Event::new()), Arc::new(Barrier::new(4)));
            let condition = Arc::new(Condition::with_value(0));
            let (fifo, lifo, priority) = (Queue::new(2), LifoQueue::new(2), PriorityQueue::new(2));
            let over = Arc::new(AtomicBool::new(false));
            let watcher = std::thread::spawn({
                let (lock, semaphore, event, barrier) =
                    (lock.clone(), semaphore.clone(), event.clone(), barrier.clone());
                let (condition, fifo, lifo, priority) =
                    (condition.clone(), fifo.clone(), lifo.clone(), priority.clone());
                let over = over.clone();
                move || {
                    let mut shown = 0;
                    while !over.load(SeqCst) || shown == 0 {
                        shown += format!("{lock:?} {semaphore:?} {event:?} {barrier:?} {condition:?}").len();
                        shown += format!("{fifo:?} {lifo:?} {priority:?}").len();
                        let _ = (lock.statistics(), semaphore.statistics(), event.statistics());
                        let _ = (barrier.statistics(), condition.statistics(), fifo.statistics());
                    }
                }
            });
            let tasks = (0..4).map(|n| {
                let (lock, semaphore, event, barrier) =
                    (lock.clone(), semaphore.clone(), event.clone(), barrier.clone());
                let (condition, fifo, lifo, priority) =
                    (condition.clone(), fifo.clone(), lifo.clone(), priority.clone());
                async move {
                    for round in 0..200 {
                        *lock.acquire().await += 1;
                        let _permit = semaphore.acquire().await;
                        *condition.acquire().await += 1;
                        drop(condition.acquire().await);
                        if n == 0 {
                            event.set();
                            fifo.put(round).await.unwrap();
                            lifo.put(round).await.unwrap();
                            priority.put(round).await.unwrap();
                        } else if n == 1 {
                            event.wait().await;
                            let items = [fifo.get().await, lifo.get().await, priority.get().await];
                            assert!(items.iter().all(Result::is_ok));
                            event.clear();
                        }
                        drop(_permit);
                        barrier.wait().await.unwrap();
                    }
                }
            });
            asyncio::gather(tasks.collect::<Vec<_>>()).await;
            over.store(true, SeqCst);
            watcher.join().unwrap();
            assert_eq!(*lock.acquire().await, 800);
        });
    }
}
