//! Who waits and is cancelled, times out or is dropped, loses nothing: what it had been given goes to the next.

use std::pin::pin;
use std::sync::Arc;

use futures_util::{FutureExt, select};
use kumihimo as asyncio;
use kumihimo::{
    Barrier, BoundedSemaphore, Condition, Event, LifoQueue, Lock, LockGuard, PriorityQueue, Queue,
    QueueShutDown, Semaphore, Task, TaskError, wait_for,
};

use crate::support::{Flavour, everywhere, millis, panic_message, secs};
use crate::{Boxed, boxed, on_each, settle, waits};

/// How a waiter gives up.
#[derive(Clone, Copy, Debug)]
enum Way {
    Cancel,
    TimeOut,
    /// As the branch of a `select!` that another branch has won.
    Drop,
}

impl Way {
    const ALL: [Way; 3] = [Way::Cancel, Way::TimeOut, Way::Drop];
}

/// What the waiter is given, if anything, before it gives up: it may then go through all the same, where others run beside it.
type Grant<'a> = &'a mut dyn FnMut();

/// Has somebody wait, and another behind it; the first gives up, having been granted what it waits for or not. Gives what the
/// first came to, if it did not give up after all, and the second, which waits.
async fn one_gives_up<T: Send + 'static>(
    flavour: Flavour,
    way: Way,
    wait: impl Fn() -> Boxed<T>,
    grant: Option<Grant<'_>>,
) -> (Option<T>, Task<T>) {
    let granted = grant.is_some();
    let grant = || grant.into_iter().for_each(|grant| grant());
    let (came, second) = match way {
        Way::Cancel => {
            let first = asyncio::create_task(wait());
            settle().await;
            let second = asyncio::create_task(wait());
            settle().await;
            grant();
            first.cancel();
            let came = match first.outcome().await {
                Ok(value) => Some(value),
                Err(TaskError::Cancelled(_)) => None,
                Err(error) => panic!("{error}"),
            };
            // A cancellation beats what was given and not taken.
            assert!(came.is_none() || flavour != Flavour::CurrentThread);
            (came, second)
        }
        Way::TimeOut => {
            let first = asyncio::create_task(wait_for(wait(), millis(5)));
            settle().await;
            let second = asyncio::create_task(wait());
            // With the grant, both come at the same moment of the clock.
            asyncio::sleep(millis(if granted { 4 } else { 10 })).await;
            grant();
            (first.await.ok(), second)
        }
        Way::Drop => {
            let mut first = wait();
            assert!(waits(first.as_mut()));
            let second = asyncio::create_task(wait());
            settle().await;
            grant();
            (None, second)
        }
    };
    if !granted {
        assert!(came.is_none(), "{way:?} on {flavour}");
        settle().await;
        assert!(!second.done());
    }
    (came, second)
}

fn each_way<F: Future<Output = ()>>(test: impl Fn(Flavour, Way, bool) -> F) {
    for granted in [false, true] {
        for way in Way::ALL {
            on_each(|flavour| test(flavour, way, granted));
        }
    }
}

#[test]
fn a_lock_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let lock = Arc::new(Lock::with_value(0));
        let mut holder = lock.try_acquire_owned();
        let wait = || {
            let lock = lock.clone();
            boxed(async move {
                let mut guard = lock.acquire_owned().await;
                *guard += 1;
                guard
            })
        };
        let mut release = || holder = None;
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut release)).await;
        let turns = 1 + usize::from(first.is_some());
        drop((first, holder));
        assert_eq!(*second.await, turns);
        assert!(!lock.locked() && lock.statistics().waiting == 0);
    });
}

#[test]
fn a_permit_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let semaphore = Arc::new(Semaphore::new(2));
        let mut holders =
            vec![semaphore.try_acquire_owned().unwrap(), semaphore.try_acquire_owned().unwrap()];
        let wait = || boxed(semaphore.acquire_owned());
        let mut release = || drop(holders.pop());
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut release)).await;
        drop((first, holders));
        drop(second.await);
        let statistics = semaphore.statistics();
        assert_eq!((statistics.value, statistics.waiting), (2, 0));
    });
}

#[test]
fn a_bounded_permit_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let semaphore = Arc::new(BoundedSemaphore::new(1));
        let mut holder = semaphore.try_acquire_owned();
        let wait = || boxed(semaphore.acquire_owned());
        let mut release = || holder = None;
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut release)).await;
        drop((first, holder));
        drop(second.await);
        assert_eq!(semaphore.statistics().value, 1);
        assert!(semaphore.release().is_err());
    });
}

#[test]
fn the_others_hear_of_an_event() {
    each_way(async |flavour, way, granted| {
        let event = Arc::new(Event::new());
        let wait = || {
            let event = event.clone();
            boxed(async move { event.wait().await })
        };
        let mut set = || {
            event.set();
            // Who was woken stays so.
            event.clear();
        };
        let (_, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut set)).await;
        if !granted {
            assert_eq!(event.statistics().waiting, 1);
            event.set();
        }
        second.await;
        assert_eq!(event.statistics().waiting, 0);
    });
}

#[test]
fn a_notification_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let condition = Arc::new(Condition::with_value(0));
        let wait = || {
            let condition = condition.clone();
            boxed(async move {
                let mut guard = condition.acquire().await;
                // Whoever gives up has another look for it, which may find nothing.
                condition
                    .wait_until(&mut guard, |things: &mut u32| {
                        things.checked_sub(1).map(|left| *things = left)
                    })
                    .await;
            })
        };
        let mut notify = || {
            // Who has just begun to wait may be about to let go of it, on another worker.
            let mut guard = loop {
                match condition.try_acquire() {
                    Some(guard) => break guard,
                    None => std::thread::yield_now(),
                }
            };
            *guard += 1;
            condition.notify(1);
        };
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut notify)).await;
        if !granted || first.is_some() {
            *condition.acquire().await += 1;
            let _guard = condition.acquire().await;
            condition.notify(1);
        }
        second.await;
        assert_eq!(*condition.acquire().await, 0);
        assert_eq!(condition.statistics().waiting, 0);
    });
}

#[test]
fn who_leaves_a_barrier_is_not_counted() {
    each_way(async |flavour, way, _| {
        let barrier = Arc::new(Barrier::new(3));
        let wait = || {
            let barrier = barrier.clone();
            boxed(async move { barrier.wait().await })
        };
        let (first, second) = one_gives_up(flavour, way, wait, None).await;
        assert!(first.is_none() && barrier.n_waiting() == 1);
        let third = asyncio::create_task(wait());
        settle().await;
        assert!(!third.done() && barrier.n_waiting() == 2);
        assert_eq!(barrier.wait().await, Ok(2));
        assert!(second.await.is_ok() && third.await.is_ok());
        assert_eq!(barrier.n_waiting(), 0);
    });
}

#[test]
fn an_item_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let queue = Queue::new(0);
        let wait = || {
            let queue = queue.clone();
            boxed(async move { queue.get().await.unwrap() })
        };
        let mut put = || queue.put_nowait('a').unwrap();
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut put)).await;
        if !granted || first.is_some() {
            queue.put_nowait('a').unwrap();
        }
        assert_eq!(second.await, 'a');
        let statistics = queue.statistics();
        assert_eq!((statistics.size, statistics.getters), (0, 0));
        assert_eq!(statistics.unfinished, 1 + usize::from(first.is_some()));
    });
}

#[test]
fn an_item_of_the_other_queues_goes_to_the_next() {
    each_way(async |flavour, way, granted| {
        let (lifo, priority) = (LifoQueue::new(0), PriorityQueue::new(0));
        let wait = || {
            let (lifo, priority) = (lifo.clone(), priority.clone());
            boxed(async move { (lifo.get().await.unwrap(), priority.get().await.unwrap()) })
        };
        let mut put = || {
            lifo.put_nowait(1).unwrap();
            priority.put_nowait(2).unwrap();
        };
        let (_, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut put)).await;
        // If the first gave up between its two items, it has taken one along.
        lifo.put_nowait(1).unwrap();
        priority.put_nowait(2).unwrap();
        assert_eq!(second.await, (1, 2));
        assert!(lifo.statistics().getters == 0 && priority.statistics().getters == 0);
    });
}

#[test]
fn room_goes_to_the_next_and_the_item_is_in_the_queue_or_in_hand() {
    each_way(async |flavour, way, granted| {
        let queue = Queue::new(1);
        queue.put_nowait(0).unwrap();
        let numbers = std::sync::atomic::AtomicU32::new(1);
        let wait = || {
            let (queue, number) = (queue.clone(), numbers.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            boxed(async move { queue.put(number).await.unwrap() })
        };
        let mut taken = Vec::new();
        let mut take = || taken.push(queue.get_nowait().unwrap());
        let (first, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut take)).await;
        if !granted || first.is_some() {
            taken.push(queue.get().await.unwrap());
        }
        second.await;
        assert_eq!(queue.statistics().putters, 0);
        taken.push(queue.get().await.unwrap());
        assert_eq!(taken, if first.is_some() { vec![0, 1, 2] } else { vec![0, 2] });
        assert!(queue.empty());
    });
}

#[test]
fn others_are_told_when_all_is_done() {
    each_way(async |flavour, way, granted| {
        let queue = Queue::new(0);
        queue.put_nowait(()).unwrap();
        let wait = || {
            let queue = queue.clone();
            boxed(async move { queue.join().await })
        };
        let mut done = || queue.task_done().unwrap();
        let (_, second) = one_gives_up(flavour, way, wait, granted.then_some(&mut done)).await;
        if !granted {
            queue.task_done().unwrap();
        }
        second.await;
        assert_eq!(queue.statistics().joiners, 0);
    });
}

// === a put that is given up ===

#[test]
fn a_put_that_is_given_up_gives_its_item_back() {
    everywhere(async || {
        let queue = Queue::new(1);
        queue.put_nowait(String::from("first")).unwrap();
        // Not begun, begun, woken: the item is in hand each time.
        let mut put = pin!(queue.put(String::from("a")));
        assert_eq!(put.as_mut().into_item().as_deref(), Some("a"));
        assert_eq!(put.into_item(), None);
        let (mut put, mut next) =
            (pin!(queue.put(String::from("b"))), Box::pin(queue.put(String::from("c"))));
        assert!(waits(put.as_mut()) && waits(next.as_mut()));
        assert_eq!(queue.get().await.as_deref(), Ok("first"));
        assert_eq!(put.into_item().as_deref(), Some("b"));
        assert_eq!(next.as_mut().await, Ok(()));
        // Once it is in the queue, it is not in hand.
        assert_eq!(next.as_mut().into_item(), None);
        drop(next);
        assert_eq!(queue.get().await.as_deref(), Ok("c"));
        // Cancelled, with the item in a place of ours.
        queue.put_nowait(String::from("full")).unwrap();
        let cancelled = asyncio::create_task({
            let queue = queue.clone();
            async move {
                let mut put = pin!(queue.put(String::from("d")));
                let cancelled = asyncio::catch_cancelled(put.as_mut()).await;
                (cancelled.is_err(), put.into_item())
            }
        });
        settle().await;
        cancelled.cancel();
        assert_eq!(cancelled.await, (true, Some(String::from("d"))));
        // Timed out.
        let mut put = pin!(queue.put(String::from("e")));
        assert!(wait_for(put.as_mut(), millis(5)).await.is_err());
        assert_eq!(put.into_item().as_deref(), Some("e"));
        // Shut down while it waits.
        let mut put = pin!(queue.put(String::from("f")));
        assert!(waits(put.as_mut()));
        queue.shutdown(false);
        assert_eq!(put.as_mut().await, Err(QueueShutDown));
        assert_eq!(put.into_item().as_deref(), Some("f"));
        assert_eq!(queue.get().await.as_deref(), Ok("full"));
    });
}

#[test]
fn a_select_that_goes_round_and_round_loses_no_item() {
    on_each(async |flavour| {
        let queue = Queue::new(3);
        let producer = asyncio::create_task({
            let queue = queue.clone();
            async move {
                for n in 0..500 {
                    // Each time a new future, which the timer may win.
                    let mut item = Some(n);
                    while let Some(n) = item.take() {
                        let mut put = pin!(queue.put(n));
                        let mut timer = asyncio::yield_now().fuse();
                        select! {
                            result = put.as_mut().fuse() => result.unwrap(),
                            () = timer => {}
                        }
                        item = put.into_item();
                        asyncio::yield_now().await;
                    }
                }
                queue.shutdown(false);
            }
        });
        let mut got = Vec::new();
        loop {
            let mut timer = asyncio::yield_now().fuse();
            select! {
                item = queue.get().fuse() => match item {
                    Ok(item) => got.push(item),
                    Err(QueueShutDown) => break,
                },
                () = timer => {}
            }
        }
        producer.await;
        assert!(got.iter().copied().eq(0..500), "{flavour}: {got:?}");
    });
}

// === a wait of a condition that is given up ===

#[test]
fn who_is_cancelled_in_a_condition_has_the_lock_again_first() {
    everywhere(async || {
        let condition = Arc::new(Condition::with_value(0));
        let waiter = asyncio::create_task({
            let condition = condition.clone();
            async move {
                let mut guard = condition.acquire().await;
                let cancelled = asyncio::catch_cancelled(condition.wait(&mut guard)).await;
                assert!(LockGuard::is_held(&guard) && condition.locked());
                *guard += 1;
                cancelled.unwrap_err().raise().await;
            }
        });
        settle().await;
        let guard = condition.acquire().await;
        waiter.cancel();
        waiter.cancel();
        asyncio::sleep(secs(1)).await;
        // It waits for the lock, which we have.
        assert!(!waiter.done() && *guard == 0);
        drop(guard);
        assert!(waiter.outcome().await.unwrap_err().is_cancelled());
        assert_eq!(*condition.acquire().await, 1);
    });
}

#[test]
fn a_wait_of_a_condition_that_is_dropped_leaves_a_guard_that_holds_nothing() {
    everywhere(async || {
        let condition = Arc::new(Condition::with_value(String::from("guarded")));
        let mut guard = condition.acquire().await;
        let mut timer = asyncio::sleep(millis(5)).fuse();
        select! {
            () = condition.wait(&mut guard).fuse() => unreachable!("nobody notifies"),
            () = timer => {}
        }
        assert!(!LockGuard::is_held(&guard) && !condition.locked());
        assert_eq!(format!("{guard:?}"), "LockGuard(<not held>)");
        for said in [
            panic_message(|| assert!(guard.is_empty())),
            panic_message(|| guard.push('!')),
            panic_message(|| drop(condition.wait(&mut guard))),
        ] {
            assert!(said.contains("not hold its lock") && said.contains("anew"), "{said}");
        }
        // It does not release what another holds.
        let other = condition.acquire().await;
        drop(guard);
        assert!(condition.locked() && condition.try_acquire().is_none());
        assert_eq!(*other, "guarded");
    });
}

#[test]
fn a_wait_of_a_condition_that_is_dropped_at_its_end_holds_the_lock() {
    everywhere(async || {
        let condition = Condition::new();
        let mut guard = condition.acquire().await;
        {
            // Not begun: the lock was not released.
            let _never_polled = condition.wait(&mut guard);
        }
        assert!(LockGuard::is_held(&guard) && condition.locked());
        let mut wait = Box::pin(condition.wait(&mut guard));
        assert!(waits(wait.as_mut()));
        {
            let _other = condition.acquire().await;
            condition.notify(1);
        }
        // Notified, and dropped before it has the lock: that passes both on.
        drop(wait);
        assert!(!LockGuard::is_held(&guard) && !condition.locked());
    });
}
