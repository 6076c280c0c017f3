//! Models of the primitives: who waits is let in, once, and sees what was done before; what a waiter is given that gives up
//! goes to the next.
//!
//! Run: `RUSTFLAGS="--cfg kumihimo_loom" cargo test -p kumihimo-sync --release --lib loom`. The preemption bound and the
//! time measured for it stand beside each model. Threads wait by the crate's own `block_on`, so a wake-up that is lost is a
//! deadlock, which loom reports.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

use kumihimo_context::Services;
use kumihimo_context::model::check as model;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use crate::blocking::block_on;
use crate::{Barrier, Condition, Event, Lock, PriorityQueue, Queue, QueueShutDown, Semaphore};

/// The same twice: as threads are, and as if there were one order, asyncio's, in which granted permits are counted.
fn model_both(preemptions: Option<usize>, f: impl Fn() + Copy + Sync + Send + 'static) {
    std::thread_local!(static IN_ORDER: Cell<bool> = const { Cell::new(false) });

    kumihimo_context::provide(Services {
        in_order: || IN_ORDER.get(),
        is_cancelled: |_, _| false,
        spawn_hidden: Err,
    });
    for in_order in [false, true] {
        // loom runs all threads of a model on this one.
        IN_ORDER.set(in_order);
        model(preemptions, f);
    }
}

/// Polls once, for nobody.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

/// Something that only one may use at a time; loom reports two.
struct Only(UnsafeCell<usize>);

// SAFETY: loom checks that accesses are ordered.
unsafe impl Send for Only {}
// SAFETY: as above.
unsafe impl Sync for Only {}

impl Only {
    fn new() -> Only {
        Only(UnsafeCell::new(0))
    }

    fn add(&self) {
        // SAFETY: loom checks it.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn get(&self) -> usize {
        // SAFETY: loom checks it.
        self.0.with(|value| unsafe { *value })
    }
}

/// Preemptions: 2.
#[test]
fn three_lock_in_turn() {
    model_both(Some(2), || {
        let lock = Arc::new(Lock::with_value(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || *lock.blocking_acquire() += 1)
            })
            .collect();
        *lock.blocking_acquire() += 1;
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(*lock.blocking_acquire(), 3);
        assert!(!lock.statistics().locked && lock.statistics().waiting == 0);
    });
}

/// Preemptions: 3. One asks, and gives up at any moment of the hand-over; the other gets the lock.
#[test]
fn who_gives_up_passes_the_lock_on() {
    model_both(Some(3), || {
        let lock = Arc::new(Lock::with_value(0));
        let guard = lock.try_acquire_owned().unwrap();
        let gives_up = {
            let lock = lock.clone();
            thread::spawn(move || {
                let mut acquire = pin!(lock.acquire());
                let _ = poll_once(acquire.as_mut());
            })
        };
        let waits = {
            let lock = lock.clone();
            thread::spawn(move || *lock.blocking_acquire() += 1)
        };
        drop(guard);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(*lock.blocking_acquire(), 1);
    });
}

/// Preemptions: any number. A future is polled by one thread and then by another, which is the one to be woken.
#[test]
fn the_last_who_polls_is_woken() {
    model(None, || {
        let lock = Arc::new(Lock::with_value(0));
        let guard = lock.try_acquire_owned().unwrap();
        let mut acquire = Box::pin(lock.acquire_owned());
        assert!(poll_once(acquire.as_mut()).is_none());
        let other = thread::spawn(move || *block_on(acquire) += 1);
        drop(guard);
        other.join().unwrap();
        assert_eq!(*lock.blocking_acquire(), 1);
    });
}

/// Preemptions: 2. Two permits among three, each of which is used with another: never three at once, and all get one.
#[test]
fn a_semaphore_lets_two_in() {
    model_both(Some(2), || {
        let semaphore = Arc::new(Semaphore::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let enter = {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            move || {
                let permit = semaphore.blocking_acquire();
                assert!(inside.fetch_add(1, Relaxed) < 2);
                inside.fetch_sub(1, Relaxed);
                drop(permit);
            }
        };
        let others: Vec<_> = (0..2).map(|_| thread::spawn(enter.clone())).collect();
        enter();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(semaphore.statistics().value, 2);
    });
}

/// Preemptions: 2. Two permits come at once, to one who waits and a newcomer, who queues behind it though one is free.
#[test]
fn a_newcomer_behind_a_granted_permit_gets_the_free_one() {
    model_both(Some(2), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = semaphore.clone();
                thread::spawn(move || semaphore.blocking_acquire().forget())
            })
            .collect();
        semaphore.release();
        semaphore.release();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(semaphore.statistics().value, 0);
    });
}

/// Preemptions: 3. A permit is released while its waiter gives up: it is there in the end.
#[test]
fn a_permit_granted_to_who_gives_up_is_not_lost() {
    model_both(Some(3), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let gives_up = {
            let semaphore = semaphore.clone();
            thread::spawn(move || {
                let mut acquire = pin!(semaphore.acquire());
                if let Some(permit) = poll_once(acquire.as_mut()) {
                    drop(permit);
                }
            })
        };
        let waits = {
            let semaphore = semaphore.clone();
            thread::spawn(move || drop(semaphore.blocking_acquire()))
        };
        semaphore.release();
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.statistics().value, 1);
        assert_eq!(semaphore.statistics().waiting, 0);
    });
}

/// Preemptions: any number. A lock is released while its only waiter gives up, who then finds it free, or not yet.
#[test]
fn a_lock_is_free_once_its_only_waiter_has_left() {
    model_both(None, || {
        let lock = Arc::new(Lock::with_value(0));
        let mut guard = lock.try_acquire_owned().unwrap();
        let leaves = {
            let lock = lock.clone();
            thread::spawn(move || {
                let mut acquire = Box::pin(lock.acquire());
                let first = poll_once(acquire.as_mut());
                drop(acquire);
                if let Some(mut guard) = first.or_else(|| lock.try_acquire()) {
                    *guard += 1;
                }
            })
        };
        *guard += 1;
        drop(guard);
        leaves.join().unwrap();
        assert!(*lock.try_acquire().expect("nobody has it") > 0);
    });
}

/// Preemptions: any number. Who sees that nobody has a lock, or a permit, sees what was done with it.
#[test]
fn who_sees_a_lock_free_sees_what_was_done() {
    model(None, || {
        let (lock, semaphore) = (Arc::new(Lock::new()), Arc::new(Semaphore::new(1)));
        let done = Arc::new([Only::new(), Only::new()]);
        let guards = (lock.try_acquire_owned().unwrap(), semaphore.try_acquire_owned().unwrap());
        let looks = {
            let (lock, semaphore, done) = (lock.clone(), semaphore.clone(), done.clone());
            thread::spawn(move || {
                if !lock.locked() {
                    assert_eq!(done[0].get(), 1);
                }
                if !semaphore.locked() {
                    assert_eq!(done[1].get(), 1);
                }
            })
        };
        done[0].add();
        drop(guards.0);
        done[1].add();
        drop(guards.1);
        looks.join().unwrap();
    });
}

/// Preemptions: 3. A permit that is free, and that somebody gets who queued behind one that is granted, brings what was done
/// before it was released.
#[test]
fn a_free_permit_brings_what_was_done_before() {
    model_both(Some(3), || {
        let semaphore = Arc::new(Semaphore::new(0));
        let only = Arc::new(Only::new());
        let mut first = Box::pin(semaphore.clone().acquire_owned());
        assert!(poll_once(first.as_mut()).is_none());
        // The first permit is the first one's, so the second is the other's.
        semaphore.release();
        let waits = thread::spawn(move || block_on(first).forget());
        let newcomer = {
            let (semaphore, only) = (semaphore.clone(), only.clone());
            thread::spawn(move || {
                semaphore.blocking_acquire().forget();
                assert_eq!(only.get(), 1);
            })
        };
        only.add();
        semaphore.release();
        waits.join().unwrap();
        newcomer.join().unwrap();
    });
}

/// Preemptions: 3. Who has waited sees what was done before the event was set.
#[test]
fn an_event_wakes_and_publishes() {
    model(Some(3), || {
        let event = Arc::new(Event::new());
        let only = Arc::new(Only::new());
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let (event, only) = (event.clone(), only.clone());
                thread::spawn(move || {
                    event.blocking_wait();
                    assert_eq!(only.get(), 1);
                })
            })
            .collect();
        only.add();
        event.set();
        waits.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// Preemptions: any number. Who sees an event cleared sees what was done before.
#[test]
fn who_sees_an_event_cleared_sees_what_was_done() {
    model(None, || {
        let event = Arc::new(Event::new());
        let only = Arc::new(Only::new());
        let takes_note = {
            let (event, only) = (event.clone(), only.clone());
            thread::spawn(move || {
                only.add();
                event.clear();
            })
        };
        event.set();
        if !event.is_set() {
            assert_eq!(only.get(), 1);
        }
        takes_note.join().unwrap();
    });
}

/// Preemptions: any number. As before, for one who is polled without having been woken.
#[test]
fn who_is_polled_by_the_way_sees_what_was_done() {
    model(None, || {
        let event = Arc::new(Event::new());
        let only = Arc::new(Only::new());
        let polls = {
            let (event, only) = (event.clone(), only.clone());
            thread::spawn(move || {
                let mut wait = pin!(event.wait());
                for _ in 0..2 {
                    if poll_once(wait.as_mut()).is_some() {
                        assert_eq!(only.get(), 1);
                        return;
                    }
                }
            })
        };
        only.add();
        event.set();
        polls.join().unwrap();
    });
}

/// Preemptions: 3. It is set and cleared while one waits and another gives up: who waited before is woken.
#[test]
fn an_event_that_is_cleared_at_once_has_woken() {
    model(Some(3), || {
        let event = Arc::new(Event::new());
        let mut early = Box::pin({
            let event = event.clone();
            async move { event.wait().await }
        });
        assert!(poll_once(early.as_mut()).is_none());
        let waits = thread::spawn(move || block_on(early));
        let gives_up = {
            let event = event.clone();
            thread::spawn(move || {
                let mut wait = pin!(event.wait());
                let _ = poll_once(wait.as_mut());
            })
        };
        event.set();
        event.clear();
        waits.join().unwrap();
        gives_up.join().unwrap();
        assert_eq!(event.statistics().waiting, 0);
    });
}

/// Preemptions: 4. A condition: the change and the notification may come at any moment.
#[test]
fn a_condition_misses_nothing() {
    model(Some(4), || {
        let condition = Arc::new(Condition::with_value(0));
        let waits = {
            let condition = condition.clone();
            thread::spawn(move || {
                let mut guard = condition.blocking_acquire();
                while *guard == 0 {
                    condition.blocking_wait(&mut guard);
                }
                *guard += 1;
            })
        };
        {
            let mut guard = condition.blocking_acquire();
            *guard = 1;
            condition.notify(1);
        }
        waits.join().unwrap();
        assert_eq!(*condition.blocking_acquire(), 2);
    });
}

/// Preemptions: 3. One notification, two waiters, of which one gives up at any moment: the other gets it.
#[test]
fn a_notification_of_who_gives_up_goes_to_the_other() {
    model(Some(3), || {
        let condition = Arc::new(Condition::with_value(false));
        let mut first = Box::pin({
            let condition = condition.clone();
            async move {
                let mut guard = condition.acquire().await;
                condition.wait(&mut guard).await;
            }
        });
        assert!(poll_once(first.as_mut()).is_none());
        let mut second = Box::pin({
            let condition = condition.clone();
            async move {
                let mut guard = condition.acquire().await;
                condition.wait(&mut guard).await;
            }
        });
        assert!(poll_once(second.as_mut()).is_none());
        let gives_up = thread::spawn(move || drop(first));
        let waits = thread::spawn(move || block_on(second));
        {
            let guard = condition.blocking_acquire();
            condition.notify(1);
            drop(guard);
        }
        gives_up.join().unwrap();
        waits.join().unwrap();
    });
}

/// Preemptions: 4. Items through a queue for one item. Nobody comes for the last, so room for it is what a get has told of.
#[test]
fn a_queue_hands_over() {
    model(Some(4), || {
        let queue = Queue::new(1);
        let puts = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.blocking_put(1).unwrap();
                queue.blocking_put(2).unwrap();
                queue.blocking_put(3).unwrap();
            })
        };
        assert_eq!(queue.blocking_get(), Ok(1));
        assert_eq!(queue.blocking_get(), Ok(2));
        puts.join().unwrap();
        assert_eq!(queue.get_nowait(), Ok(3));
    });
}

/// Preemptions: 6. Of two who wait for the one item, one gives up.
#[test]
fn a_getter_that_gives_up_leaves_the_item() {
    model(Some(6), || {
        let queue = Queue::new(0);
        let mut first = Box::pin({
            let queue = queue.clone();
            async move { queue.get().await }
        });
        assert!(poll_once(first.as_mut()).is_none());
        let mut second = Box::pin({
            let queue = queue.clone();
            async move { queue.get().await }
        });
        assert!(poll_once(second.as_mut()).is_none());
        let gives_up = thread::spawn(move || drop(first));
        let waits = thread::spawn(move || block_on(second));
        queue.put_nowait(7).unwrap();
        gives_up.join().unwrap();
        assert_eq!(waits.join().unwrap(), Ok(7));
    });
}

/// Preemptions: 6. Of two who wait for the one room, one gives up.
#[test]
fn a_putter_that_gives_up_leaves_the_room() {
    model(Some(6), || {
        let queue = Queue::new(1);
        queue.put_nowait(0).unwrap();
        let mut first = Box::pin({
            let queue = queue.clone();
            async move { queue.put(1).await }
        });
        assert!(poll_once(first.as_mut()).is_none());
        let mut second = Box::pin({
            let queue = queue.clone();
            async move { queue.put(2).await }
        });
        assert!(poll_once(second.as_mut()).is_none());
        let gives_up = thread::spawn(move || drop(first));
        let waits = thread::spawn(move || block_on(second));
        assert_eq!(queue.get_nowait(), Ok(0));
        gives_up.join().unwrap();
        assert_eq!(waits.join().unwrap(), Ok(()));
        assert_eq!(queue.get_nowait(), Ok(2));
    });
}

/// A putter that waits for room in this queue.
fn waiting_put(
    queue: &Queue<u32>,
    item: u32,
) -> Pin<Box<dyn Future<Output = Result<(), QueueShutDown>> + Send>> {
    let queue = queue.clone();
    let mut put = Box::pin(async move { queue.put(item).await });
    assert!(poll_once(put.as_mut()).is_none());
    put
}

/// Preemptions: 4. Room for two comes before the first who was woken for it has looked: it wakes the second.
#[test]
fn who_was_woken_for_room_wakes_the_next() {
    model(Some(4), || {
        let queue = Queue::new(3);
        (0..3).for_each(|item| queue.put_nowait(item).unwrap());
        let puts = [3, 4].map(|item| {
            let put = waiting_put(&queue, item);
            thread::spawn(move || block_on(put))
        });
        assert_eq!((queue.get_nowait(), queue.get_nowait()), (Ok(0), Ok(1)));
        for put in puts {
            assert_eq!(put.join().unwrap(), Ok(()));
        }
        assert_eq!(queue.qsize(), 3);
    });
}

/// Complete. Those who were woken for room are in no hurry: who finds the queue empty wakes another.
#[test]
fn who_takes_its_time_with_the_room_holds_up_nobody() {
    model(None, || {
        let queue = Queue::new(2);
        (0..2).for_each(|item| queue.put_nowait(item).unwrap());
        let (idle, hurried) = ([2, 3].map(|item| waiting_put(&queue, item)), waiting_put(&queue, 4));
        let hurried = thread::spawn(move || block_on(hurried));
        assert_eq!((queue.get_nowait(), queue.get_nowait()), (Ok(0), Ok(1)));
        assert_eq!(block_on(queue.get()), Ok(4));
        assert_eq!(hurried.join().unwrap(), Ok(()));
        drop(idle);
    });
}

/// Preemptions: 4. A shut-down reaches who waits, and who comes.
#[test]
fn a_shut_down_wakes() {
    model(Some(4), || {
        let queue = Queue::<usize>::new(1);
        let gets: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || assert_eq!(queue.blocking_get(), Err(QueueShutDown)))
            })
            .collect();
        queue.shutdown(false);
        gets.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// Preemptions: any number. Who joins waits for the last item, and sees what was done with it.
#[test]
fn a_join_waits_for_the_last() {
    model(None, || {
        let queue = Queue::new(0);
        let only = Arc::new(Only::new());
        queue.put_nowait(()).unwrap();
        let works = {
            let (queue, only) = (queue.clone(), only.clone());
            thread::spawn(move || {
                queue.get_nowait().unwrap();
                only.add();
                queue.task_done().unwrap();
            })
        };
        queue.blocking_join();
        assert_eq!(only.get(), 1);
        works.join().unwrap();
    });
}

/// Preemptions: 2. Two meet, and meet again.
#[test]
fn a_barrier_lets_two_through() {
    model(Some(2), || {
        let barrier = Arc::new(Barrier::new(2));
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || block_on(async { (barrier.wait().await, barrier.wait().await) }))
        };
        let here = block_on(async { (barrier.wait().await, barrier.wait().await) });
        let there = other.join().unwrap();
        for (one, two) in [(here.0, there.0), (here.1, there.1)] {
            assert_eq!(one.unwrap() + two.unwrap(), 1);
        }
    });
}

/// Preemptions: 3. The order of a priority queue is that of what is there, also while somebody puts.
#[test]
fn a_priority_queue_loses_nothing() {
    model(Some(3), || {
        let queue = PriorityQueue::new(0);
        queue.put_nowait(2).unwrap();
        let puts = {
            let queue = queue.clone();
            thread::spawn(move || queue.put_nowait(1).unwrap())
        };
        let taken = (block_on(queue.get()), block_on(queue.get()));
        puts.join().unwrap();
        assert!(matches!(taken, (Ok(1), Ok(2)) | (Ok(2), Ok(1))));
    });
}
