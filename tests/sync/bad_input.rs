//! None and very many, once too often, and after the end.

use std::pin::pin;
use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{
    Barrier, BoundedSemaphore, Condition, Event, GetError, LifoQueue, Lock, PriorityQueue, PutError, Queue,
    QueueEmpty, QueueFull, QueueShutDown, Semaphore, wait_for,
};

use crate::support::{everywhere, millis, panic_message};
use crate::{settle, waits};

// === semaphores ===

#[test]
fn a_semaphore_may_begin_with_none() {
    everywhere(async || {
        let semaphore = Arc::new(Semaphore::new(0));
        assert!(semaphore.locked() && semaphore.try_acquire().is_none());
        assert!(wait_for(semaphore.acquire(), millis(5)).await.is_err());
        let waiter = asyncio::create_task({
            let semaphore = semaphore.clone();
            async move { semaphore.acquire().await.forget() }
        });
        settle().await;
        assert_eq!(semaphore.statistics().waiting, 1);
        semaphore.release();
        waiter.await;
        let statistics = semaphore.statistics();
        assert_eq!((statistics.value, statistics.waiting), (0, 0));
    });
}

#[test]
fn a_bounded_semaphore_of_none_never_has_one() {
    let semaphore = BoundedSemaphore::new(0);
    assert!(semaphore.try_acquire().is_none());
    let error = semaphore.release().expect_err("there is nothing to give back");
    assert!(error.to_string().contains("released too often: all its permits (0) are free"), "{error}");
    assert!(semaphore.locked());
}

#[test]
fn a_semaphore_counts_up_to_its_limit() {
    const MOST: usize = Semaphore::MAX_PERMITS;
    assert_eq!(MOST, u32::MAX as usize);
    let semaphore = Semaphore::new(MOST);
    let said = panic_message(|| semaphore.release());
    assert!(said.contains("at most") && said.contains("4 294 967 295"), "{said}");
    assert_eq!(semaphore.statistics().value, MOST);
    let permit = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.statistics().value, MOST - 1);
    drop(permit);
    assert_eq!(semaphore.statistics().value, MOST);
    for permits in [MOST + 1, usize::MAX] {
        let said = panic_message(|| _ = Semaphore::new(permits));
        assert!(said.contains("Semaphore::MAX_PERMITS"), "{said}");
        let said = panic_message(|| _ = BoundedSemaphore::new(permits));
        assert!(said.contains("Semaphore::MAX_PERMITS"), "{said}");
    }
    let bounded = BoundedSemaphore::new(MOST);
    assert!(bounded.release().is_err());
    drop(bounded.try_acquire());
    assert_eq!(bounded.statistics().value, MOST);
}

#[test]
fn what_was_not_acquired_cannot_be_given_back_to_a_bounded_semaphore() {
    let semaphore = BoundedSemaphore::new(2);
    assert!(semaphore.release().is_err());
    let (first, second) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
    first.forget();
    assert_eq!(semaphore.release(), Ok(()));
    // Somebody gives back what the other permit stands for: that has nothing to give back then.
    assert_eq!(semaphore.release(), Ok(()));
    let error = semaphore.release().unwrap_err();
    assert!(error.to_string().contains("all its permits (2) are free"), "{error}");
    drop(second);
    assert_eq!(semaphore.statistics().value, 2);
    // The other kind has one more for each.
    let semaphore = Semaphore::new(2);
    semaphore.release();
    assert_eq!(semaphore.statistics().value, 3);
}

#[test]
fn defaults_are_those_of_asyncio() {
    assert_eq!(Semaphore::default().statistics().value, 1);
    assert_eq!(BoundedSemaphore::default().statistics().value, 1);
    assert_eq!(Queue::<u8>::default().maxsize(), 0);
    assert!(
        !Event::default().is_set() && !Lock::<()>::default().locked() && !Condition::<()>::default().locked()
    );
}

// === queues ===

#[test]
fn a_queue_of_size_zero_has_no_limit() {
    everywhere(async || {
        let queue = Queue::new(0);
        for n in 0..10_000 {
            queue.put(n).await.unwrap();
            assert!(!queue.full());
        }
        for n in 0..10_000 {
            assert_eq!(queue.get().await, Ok(n));
        }
        assert_eq!(queue.get_nowait(), Err(GetError::Empty(QueueEmpty)));
    });
}

#[test]
fn a_huge_queue_takes_no_room_before_it_is_needed() {
    for maxsize in [usize::MAX, usize::MAX - 1, isize::MAX as usize] {
        let (fifo, lifo, priority) =
            (Queue::new(maxsize), LifoQueue::new(maxsize), PriorityQueue::new(maxsize));
        for n in [2, 1, 3] {
            fifo.put_nowait([n; 1024]).unwrap();
            lifo.put_nowait([n; 1024]).unwrap();
            priority.put_nowait([n; 1024]).unwrap();
        }
        assert!(!fifo.full() && fifo.maxsize() == maxsize && lifo.maxsize() == maxsize);
        let next = [fifo.get_nowait(), lifo.get_nowait(), priority.get_nowait()];
        assert_eq!(next.map(|item| item.unwrap()[0]), [2, 3, 1]);
    }
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Queue::new(1);
    queue.put_nowait(String::from("in")).unwrap();
    let error = queue.put_nowait(String::from("out")).unwrap_err();
    assert!(error.is_full() && error.to_string().contains("`put(item).await` waits for room"), "{error}");
    let PutError::Full(full) = error else { panic!("{error}") };
    assert_eq!(full, QueueFull(String::from("out")));
    assert_eq!(full.into_item(), "out");
}

#[test]
fn task_done_too_often_is_an_error_and_changes_nothing() {
    everywhere(async || {
        let queue = Queue::new(0);
        let error = queue.task_done().unwrap_err();
        assert!(error.to_string().contains("too often"), "{error}");
        queue.join().await;
        queue.put_nowait(1).unwrap();
        let mut join = pin!(queue.join());
        assert!(waits(join.as_mut()));
        // As in asyncio an item may be done before it was taken.
        assert_eq!(queue.task_done(), Ok(()));
        assert!(queue.task_done().is_err() && queue.task_done().is_err());
        join.await;
        assert_eq!(queue.statistics().unfinished, 0);
        // The queue is as good as new.
        queue.put_nowait(2).unwrap();
        assert_eq!(queue.statistics().unfinished, 1);
        assert!(wait_for(queue.join(), millis(5)).await.is_err());
        // What is dropped counts as done, but not below zero.
        queue.shutdown(true);
        assert_eq!(queue.statistics().unfinished, 0);
        assert!(queue.task_done().is_err());
    });
}

#[test]
fn after_shutdown_what_is_left_can_be_taken_and_nothing_put() {
    everywhere(async || {
        let queue = Queue::new(2);
        queue.put_nowait("a").unwrap();
        queue.put_nowait("b").unwrap();
        queue.shutdown(false);
        queue.shutdown(false);
        let mut put = pin!(queue.put("c"));
        assert_eq!(put.as_mut().await, Err(QueueShutDown));
        assert_eq!(put.into_item(), Some("c"));
        let error = queue.put_nowait("d").unwrap_err();
        assert!(!error.is_full() && error.to_string().contains("shut down"), "{error}");
        assert_eq!(error.into_item(), "d");
        assert_eq!((queue.get().await, queue.get_nowait()), (Ok("a"), Ok("b")));
        assert_eq!(queue.get().await, Err(QueueShutDown));
        assert_eq!(queue.get_nowait(), Err(GetError::ShutDown(QueueShutDown)));
        // Two are not done, also not after another shutdown.
        queue.shutdown(true);
        assert!(wait_for(queue.join(), millis(5)).await.is_err());
        queue.task_done().unwrap();
        queue.task_done().unwrap();
        assert!(queue.task_done().is_err());
        queue.join().await;
        let statistics = queue.statistics();
        assert!(statistics.shut_down && statistics.size == 0 && statistics.unfinished == 0, "{statistics:?}");
    });
}

#[test]
fn an_immediate_shutdown_drops_what_is_left_and_throws_out_who_waits() {
    everywhere(async || {
        let full = Queue::new(1);
        let marked = Arc::new(());
        full.put_nowait(marked.clone()).unwrap();
        let empty = Queue::<Arc<()>>::new(1);
        let putters: Vec<_> = (0..3)
            .map(|_| {
                let (full, item) = (full.clone(), marked.clone());
                asyncio::create_task(async move { full.put(item).await })
            })
            .collect();
        let getter = asyncio::create_task({
            let empty = empty.clone();
            async move { empty.get().await }
        });
        let joiner = asyncio::create_task({
            let full = full.clone();
            async move { full.join().await }
        });
        settle().await;
        let statistics = full.statistics();
        assert_eq!((statistics.putters, statistics.joiners, empty.statistics().getters), (3, 1, 1));
        full.shutdown(true);
        empty.shutdown(true);
        for putter in putters {
            assert_eq!(putter.await, Err(QueueShutDown));
        }
        assert_eq!(getter.await, Err(QueueShutDown));
        joiner.await;
        assert_eq!(Arc::strong_count(&marked), 1);
    });
}

// === barriers, conditions, events ===

#[test]
fn a_barrier_of_none_is_refused_and_one_of_one_holds_up_nobody() {
    let said = panic_message(|| drop(Barrier::new(0)));
    assert!(said.contains("at least one party"), "{said}");
    everywhere(async || {
        let barrier = Barrier::new(1);
        for _ in 0..10 {
            assert_eq!(barrier.wait().await, Ok(0));
        }
        assert_eq!((barrier.n_waiting(), barrier.parties(), barrier.broken()), (0, 1, false));
    });
}

#[test]
fn a_barrier_of_very_many_can_be_left() {
    everywhere(async || {
        let barrier = Arc::new(Barrier::new(usize::MAX));
        assert!(wait_for(barrier.wait(), millis(5)).await.is_err());
        let party = asyncio::create_task({
            let barrier = barrier.clone();
            async move { barrier.wait().await }
        });
        settle().await;
        assert_eq!(barrier.n_waiting(), 1);
        barrier.reset().await;
        let error = party.await.unwrap_err();
        assert!(error.to_string().contains("after a `reset()` it can be used again"), "{error}");
        barrier.abort().await;
        assert!(barrier.wait().await.is_err() && barrier.broken());
        barrier.reset().await;
        assert!(!barrier.broken() && wait_for(barrier.wait(), millis(5)).await.is_err());
    });
}

#[test]
fn notifying_takes_the_lock_and_any_number() {
    everywhere(async || {
        let condition = Condition::new();
        for said in [panic_message(|| condition.notify(1)), panic_message(|| condition.notify_all())] {
            assert!(said.contains("whose lock nobody holds"), "{said}");
        }
        let guard = condition.acquire().await;
        condition.notify(0);
        condition.notify(usize::MAX);
        condition.notify_all();
        drop(guard);
    });
}

#[test]
fn a_condition_takes_its_own_lock_only() {
    everywhere(async || {
        let (condition, other) = (Condition::new(), Lock::new());
        let mut guard = other.acquire().await;
        let said = panic_message(|| drop(condition.wait(&mut guard)));
        assert!(said.contains("the guard of another lock"), "{said}");
        assert!(other.locked());
        // One lock may have two conditions.
        let sibling = Condition::with_lock(condition.lock().clone());
        let mut guard = condition.acquire().await;
        assert!(wait_for(sibling.wait(&mut guard), millis(5)).await.is_err());
        assert!(sibling.locked());
    });
}

#[test]
fn setting_and_clearing_twice_is_as_once() {
    everywhere(async || {
        let event = Event::new();
        event.clear();
        event.set();
        event.set();
        event.wait().await;
        event.clear();
        event.clear();
        assert!(!event.is_set() && wait_for(event.wait(), millis(5)).await.is_err());
    });
}
