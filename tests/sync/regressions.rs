//! What was wrong once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use kumihimo::{Condition, Lock, Queue, Semaphore, catch_cancelled, create_task};

use crate::support::{Flavour, on};
use crate::{Boxed, Wakes, boxed, on_each, poll_once, settle, waits};

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

/// Has a task wait for something, and cancels it just before that comes: the wait, which the task held by a reference, goes on
/// after that, and is not passed over for good.
async fn outlives_a_cancellation(wait: Boxed<()>, give: impl FnOnce()) {
    let task = create_task(async move {
        let mut wait = wait;
        assert!(catch_cancelled(wait.as_mut()).await.is_err());
        wait.await;
    });
    settle().await;
    task.cancel();
    give();
    task.await;
}

#[test]
fn a_lock_is_not_withheld_from_a_wait_that_outlives_a_cancellation() {
    on_each(|_| async {
        let lock = Arc::new(Lock::new());
        let guard = lock.try_acquire_owned().unwrap();
        let waiting = lock.clone();
        let wait = boxed(async move { drop(waiting.acquire_owned().await) });
        outlives_a_cancellation(wait, || drop(guard)).await;
        assert!(lock.try_acquire().is_some());
    });
}

#[test]
fn nor_is_a_permit() {
    on_each(|_| async {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiting = semaphore.clone();
        let wait = boxed(async move { drop(waiting.acquire_owned().await) });
        outlives_a_cancellation(wait, || semaphore.release()).await;
        assert_eq!(semaphore.statistics().value, 1);
    });
}

#[test]
fn nor_are_items_and_room() {
    on_each(|_| async {
        let queue = Queue::new(1);
        let getting = queue.clone();
        let wait = boxed(async move { assert_eq!(getting.get().await, Ok(7)) });
        outlives_a_cancellation(wait, || queue.put_nowait(7).unwrap()).await;
        queue.put_nowait(8).unwrap();
        let putting = queue.clone();
        let wait = boxed(async move { putting.put(9).await.unwrap() });
        outlives_a_cancellation(wait, || assert_eq!(queue.get_nowait(), Ok(8))).await;
        assert_eq!(queue.get_nowait(), Ok(9));
    });
}

/// Giving up a lock wakes somebody, who panics: it is not given up once more as that unwinds.
#[test]
fn a_lock_is_given_up_once_though_whom_that_wakes_panics() {
    on(Flavour::CurrentThread, async {
        let condition = Arc::new(Condition::new());
        let waits = create_task({
            let condition = condition.clone();
            async move {
                let mut guard = condition.acquire().await;
                condition.wait(&mut guard).await;
            }
        });
        settle().await;
        let guard = condition.acquire().await;
        condition.notify(1);
        settle().await; // It queues for the lock.
        let mut panics = pin!(condition.acquire());
        let waker = Waker::from(Arc::new(Panics));
        assert!(panics.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(guard); // It was chosen.
        waits.cancel();
        settle().await;
        let guards = [poll_once(panics.as_mut()).is_ready(), condition.try_acquire().is_some()];
        assert_eq!(guards, [true, false]);
    });
}

#[test]
fn a_shut_down_tells_putters_though_a_joiner_panics() {
    let queue = Queue::new(1);
    queue.put_nowait(1).unwrap();
    let mut join = pin!(queue.join());
    let waker = Waker::from(Arc::new(Panics));
    assert!(join.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let (wakes, waker) = Wakes::new();
    let mut put = pin!(queue.put(2));
    assert!(put.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| queue.shutdown(true))).is_err());
    assert_eq!(wakes.count(), 1);
    assert!(!waits(put.as_mut()));
}
