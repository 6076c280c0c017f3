//! Panics of those who hold something, and code of the user's that is called on the way: comparisons and destructors.

use std::cell::Cell;
use std::cmp::Ordering;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use kumihimo as asyncio;
use kumihimo::queue::Order;
use kumihimo::{Barrier, Condition, LifoQueue, Lock, PriorityQueue, Queue, Semaphore, TaskError};

use crate::support::{Flavour, everywhere, millis, on};
use crate::{settle, waits};

/// Ends in a panic that prints nothing.
fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

// === of holders ===

#[test]
fn a_holder_that_panics_gives_back_what_it_holds_and_poisons_nothing() {
    everywhere(async || {
        let (lock, semaphore) = (Arc::new(Lock::with_value(1)), Arc::new(Semaphore::new(1)));
        let (condition, queue) = (Arc::new(Condition::with_value(1)), Queue::new(1));
        let failing = asyncio::create_task({
            let (lock, semaphore) = (lock.clone(), semaphore.clone());
            let (condition, queue) = (condition.clone(), queue.clone());
            async move {
                queue.put(7).await.unwrap();
                let (mut value, _permit) = (lock.acquire().await, semaphore.acquire().await);
                let mut guarded = condition.acquire().await;
                (*value, *guarded) = (2, 2);
                asyncio::sleep(millis(5)).await;
                fail()
            }
        });
        settle().await;
        let waiter = asyncio::create_task({
            let (lock, semaphore, condition) = (lock.clone(), semaphore.clone(), condition.clone());
            async move {
                let (_permit, value) = (semaphore.acquire().await, *lock.acquire().await);
                value + *condition.acquire().await
            }
        });
        settle().await;
        assert!(!waiter.done() && lock.locked() && condition.locked());
        assert!(matches!(failing.outcome().await, Err(TaskError::Panicked(_))));
        assert_eq!(waiter.await, 4);
        assert!(!lock.locked() && !condition.locked() && !semaphore.locked());
        // What it has put is there.
        assert_eq!(queue.get().await, Ok(7));
    });
}

#[test]
fn a_worker_that_panics_leaves_its_item_undone() {
    everywhere(async || {
        let queue = Queue::new(0);
        queue.put_nowait(1).unwrap();
        queue.put_nowait(2).unwrap();
        let failing = asyncio::create_task({
            let queue = queue.clone();
            async move {
                let _ = queue.get().await;
                fail()
            }
        });
        assert!(failing.outcome().await.is_err());
        assert_eq!((queue.get().await, queue.task_done()), (Ok(2), Ok(())));
        assert_eq!(queue.statistics().unfinished, 1);
        assert!(asyncio::wait_for(queue.join(), millis(5)).await.is_err());
        queue.task_done().unwrap();
        queue.join().await;
    });
}

#[test]
fn a_party_that_panics_behind_a_barrier_holds_up_nobody() {
    everywhere(async || {
        let barrier = Arc::new(Barrier::new(3));
        let parties: Vec<_> = (0..3)
            .map(|n| {
                let barrier = barrier.clone();
                asyncio::create_task(async move {
                    let number = barrier.wait().await.unwrap();
                    if n == 1 { fail() } else { number }
                })
            })
            .collect();
        let mut failed = 0;
        for party in parties {
            failed += usize::from(party.outcome().await.is_err());
        }
        assert_eq!((failed, barrier.n_waiting(), barrier.broken()), (1, 0, false));
    });
}

#[test]
fn a_predicate_that_panics_does_so_with_the_lock() {
    everywhere(async || {
        let condition = Arc::new(Condition::with_value(0));
        let failing = asyncio::create_task({
            let condition = condition.clone();
            async move {
                let mut guard = condition.acquire().await;
                condition.wait_until(&mut guard, |n| if *n == 0 { None } else { fail() }).await
            }
        });
        settle().await;
        let mut guard = condition.acquire().await;
        *guard = 1;
        condition.notify(1);
        drop(guard);
        let failed: Result<(), _> = failing.outcome().await;
        assert!(matches!(failed, Err(TaskError::Panicked(_))));
        assert!(!condition.locked() && condition.statistics().waiting == 0);
    });
}

// === of comparisons ===

thread_local! {
    /// Comparisons on this thread panic.
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Runs something while comparisons panic; true if one did.
fn armed(f: impl FnOnce()) -> bool {
    ARMED.set(true);
    let panicked = catch_unwind(AssertUnwindSafe(f)).is_err();
    ARMED.set(false);
    panicked
}

#[derive(Debug, PartialEq, Eq)]
struct Touchy(u32);

impl Ord for Touchy {
    fn cmp(&self, other: &Touchy) -> Ordering {
        if ARMED.get() { fail() } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Touchy {
    fn partial_cmp(&self, other: &Touchy) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn a_comparison_that_panics_leaves_a_queue_that_works() {
    everywhere(async || {
        let queue = PriorityQueue::new(5);
        for n in [5, 1, 3] {
            queue.put_nowait(Touchy(n)).unwrap();
        }
        // Who puts panics if the item is compared right away. It is in the queue in any case.
        armed(|| drop(queue.put_nowait(Touchy(2))));
        assert_eq!((queue.qsize(), queue.statistics().unfinished), (4, 4));
        armed(|| {
            let mut put = pin!(queue.put(Touchy(4)));
            let _ = waits(put.as_mut());
        });
        assert!(queue.full());
        // Who takes panics, and the item stays for another. So who waits for room waits on, and who waits for an item does not.
        let putter = asyncio::create_task({
            let queue = (*queue).clone();
            async move { queue.put(Touchy(6)).await }
        });
        settle().await;
        assert!(armed(|| drop(queue.get_nowait())));
        assert!(armed(|| {
            let _ = waits(pin!(queue.get()));
        }));
        settle().await;
        assert!(!putter.done() && queue.full() && queue.statistics().unfinished == 5);
        let mut taken = Vec::new();
        while taken.len() < 6 {
            taken.push(queue.get().await.unwrap().0);
            queue.task_done().unwrap();
        }
        putter.await.unwrap();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4, 5, 6]);
        queue.join().await;
        // In order again, once it was empty.
        for n in [3, 1, 2] {
            queue.put(Touchy(n)).await.unwrap();
        }
        for n in 1..=3 {
            assert_eq!(queue.get().await, Ok(Touchy(n)));
        }
    });
}

#[test]
fn who_waits_hears_of_an_item_whose_comparison_panicked() {
    everywhere(async || {
        let queue: PriorityQueue<Touchy> = PriorityQueue::new(0);
        let getters: Vec<_> = (0..2)
            .map(|_| {
                let queue = (*queue).clone();
                asyncio::create_task(async move { queue.get().await.unwrap().0 })
            })
            .collect();
        settle().await;
        // The first needs no comparison.
        queue.put_nowait(Touchy(1)).unwrap();
        let panicked = armed(|| drop(queue.put_nowait(Touchy(2))));
        let mut got = Vec::new();
        for getter in getters {
            got.push(getter.await);
        }
        got.sort_unstable();
        assert_eq!(got, [1, 2], "{panicked}");
    });
}

#[test]
fn what_it_was_woken_for_goes_to_the_next_if_its_comparison_panics() {
    on(Flavour::CurrentThread, async {
        let queue: PriorityQueue<Touchy> = PriorityQueue::new(0);
        let panics = asyncio::create_task({
            let queue = (*queue).clone();
            async move {
                let mut get = Box::pin(queue.get());
                poll_fn(|cx| {
                    let mut came = Poll::Pending;
                    let panicked = armed(|| came = get.as_mut().poll(cx).map(drop));
                    if panicked {
                        Poll::Ready(())
                    } else {
                        came.map(|()| unreachable!("it compares nothing"))
                    }
                })
                .await;
            }
        });
        let others = [(); 2].map(|()| {
            let queue = (*queue).clone();
            asyncio::create_task(async move { queue.get().await.unwrap().0 })
        });
        settle().await;
        // Two are woken: the one that panics, and the first of the others.
        queue.put_nowait(Touchy(2)).unwrap();
        queue.put_nowait(Touchy(1)).unwrap();
        panics.await;
        let [first, second] = others;
        // After a comparison that panicked they come in some order.
        let (first, second) = (first.await, second.await);
        assert_eq!((first.min(second), first.max(second)), (1, 2));
    });
}

// === destructors ===

/// An item that uses its queue when it is dropped.
struct Nosy {
    number: u32,
    deed: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.deed.get().unwrap()();
    }
}

impl PartialEq for Nosy {
    fn eq(&self, other: &Nosy) -> bool {
        self.number == other.number
    }
}

impl Eq for Nosy {}

impl PartialOrd for Nosy {
    fn partial_cmp(&self, other: &Nosy) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Nosy {
    fn cmp(&self, other: &Nosy) -> Ordering {
        self.number.cmp(&other.number)
    }
}

/// Drops items in every way that there is, of a queue for two.
async fn drop_items<O: Order<Nosy> + 'static>(queue: Queue<Nosy, O>) {
    let (drops, deed) =
        (Arc::new(AtomicUsize::new(0)), Arc::<OnceLock<Box<dyn Fn() + Send + Sync>>>::default());
    let looks: Box<dyn Fn() + Send + Sync> = Box::new({
        let (queue, drops) = (queue.clone(), drops.clone());
        // All of this would wait for ever if the queue were locked.
        move || {
            drops.fetch_add(1, SeqCst);
            let _ = (queue.statistics(), format!("{queue:?}"), queue.full());
            let _ = waits(pin!(queue.join()));
            queue.shutdown(drops.load(SeqCst) > 100);
        }
    });
    assert!(deed.set(looks).is_ok());
    let item = |number| Nosy { number, deed: deed.clone() };
    // Two in there; one that waits to be put; and one that is not begun to be put, which is the first to be dropped.
    queue.put_nowait(item(1)).ok().unwrap();
    queue.put_nowait(item(2)).ok().unwrap();
    let mut waiting = Box::pin(queue.put(item(3)));
    assert!(waits(waiting.as_mut()));
    let refused = queue.put_nowait(item(4));
    drop(queue.put(item(5)));
    assert_eq!(drops.load(SeqCst), 1);
    // That has shut the queue down.
    assert!(waiting.as_mut().await.is_err());
    drop(waiting);
    drop(refused);
    assert!(queue.put(item(6)).await.is_err() && queue.put_nowait(item(7)).is_err());
    assert_eq!(drops.load(SeqCst), 5);
    drop(queue.get().await);
    assert_eq!(drops.load(SeqCst), 6);
    queue.shutdown(true);
    assert_eq!((drops.load(SeqCst), queue.qsize()), (7, 0));
}

#[test]
fn items_may_use_the_queue_that_drops_them() {
    everywhere(async || {
        drop_items(Queue::new(2)).await;
        drop_items((*LifoQueue::new(2)).clone()).await;
        drop_items((*PriorityQueue::new(2)).clone()).await;
    });
}

#[test]
fn a_queue_that_is_dropped_drops_what_is_in_it() {
    let item = Arc::new(());
    let (fifo, lifo, priority) = (Queue::new(0), LifoQueue::new(0), PriorityQueue::new(0));
    for _ in 0..3 {
        fifo.put_nowait(item.clone()).unwrap();
        lifo.put_nowait(item.clone()).unwrap();
        priority.put_nowait(item.clone()).unwrap();
    }
    let clone = fifo.clone();
    drop((fifo, lifo, priority));
    assert_eq!(Arc::strong_count(&item), 4);
    drop(clone);
    assert_eq!(Arc::strong_count(&item), 1);
}
