//! Wakers of all kinds: replaced, since a future has moved to another task; and such as panic, or use what calls them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

use kumihimo as asyncio;
use kumihimo::{Barrier, Condition, Event, Lock, Queue, Semaphore};

use crate::support::{everywhere, within_patience};
use crate::{Boxed, Wakes, boxed, settle, waits};

// === replaced ===

/// Everything that can be waited for, and what ends the waits.
fn all_waits() -> (Vec<(&'static str, Boxed<()>)>, Boxed<()>) {
    let (lock, semaphore) = (Arc::new(Lock::new()), Arc::new(Semaphore::new(0)));
    let (event, condition) = (Arc::new(Event::new()), Arc::new(Condition::new()));
    let barrier = Arc::new(Barrier::new(2));
    let (empty, full) = (Queue::new(1), Queue::new(1));
    full.put_nowait(1).unwrap();
    let guard = lock.try_acquire_owned().unwrap();
    let waits: Vec<(&'static str, Boxed<()>)> = vec![
        ("lock", {
            let lock = lock.clone();
            boxed(async move { drop(lock.acquire().await) })
        }),
        ("owned lock", {
            let waits = lock.acquire_owned();
            boxed(async move { drop(waits.await) })
        }),
        ("semaphore", {
            let semaphore = semaphore.clone();
            boxed(async move { drop(semaphore.acquire().await) })
        }),
        ("event", {
            let event = event.clone();
            boxed(async move { event.wait().await })
        }),
        ("condition", {
            let condition = condition.clone();
            boxed(async move {
                let mut guard = condition.acquire().await;
                condition.wait(&mut guard).await;
            })
        }),
        ("barrier", {
            let barrier = barrier.clone();
            boxed(async move { barrier.wait().await.map(drop).unwrap() })
        }),
        ("get", {
            let empty = empty.clone();
            boxed(async move { assert_eq!(empty.get().await, Ok(2)) })
        }),
        ("put", {
            let full = full.clone();
            boxed(async move { full.put(2).await.unwrap() })
        }),
        ("join", {
            let full = full.clone();
            boxed(async move { full.join().await })
        }),
    ];
    let end = boxed(async move {
        drop(guard);
        semaphore.release();
        event.set();
        let held = condition.acquire().await;
        condition.notify_all();
        drop(held);
        barrier.wait().await.unwrap();
        empty.put_nowait(2).unwrap();
        assert_eq!(full.get().await, Ok(1));
        assert_eq!(full.get().await, Ok(2));
        full.task_done().unwrap();
        full.task_done().unwrap();
    });
    (waits, end)
}

#[test]
fn a_future_that_was_polled_in_one_task_can_be_awaited_in_another() {
    everywhere(async || {
        let (all, end) = all_waits();
        let mut tasks = Vec::new();
        for (name, mut future) in all {
            // Here, by somebody who never wakes anybody; then in a task that ends; then in one that awaits it.
            assert!(waits(future.as_mut()), "{name}");
            #[allow(clippy::async_yields_async)]
            let future = asyncio::create_task(async move {
                let polled = futures_util::poll!(future.as_mut());
                assert!(polled.is_pending(), "{name}");
                future
            });
            tasks.push((name, asyncio::create_task(future.await)));
        }
        settle().await;
        assert!(tasks.iter().all(|(_, task)| !task.done()));
        let ended = asyncio::create_task(end);
        for (_, task) in tasks {
            task.await;
        }
        ended.await;
    });
}

#[test]
fn only_the_last_waker_is_woken() {
    let (lock, event, queue) = (Lock::new(), Event::new(), Queue::new(0));
    let guard = lock.try_acquire().unwrap();
    let futures: [Pin<Box<dyn Future<Output = ()> + '_>>; 3] = [
        Box::pin(async { drop(lock.acquire().await) }),
        Box::pin(event.wait()),
        Box::pin(async { queue.get().await.unwrap() }),
    ];
    let mut polled = Vec::new();
    for mut future in futures {
        let ((first, one), (last, other)) = (Wakes::new(), Wakes::new());
        for waker in [&one, &one, &other, &one, &other] {
            assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        // What was replaced is not kept.
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&last)), (2, 3));
        polled.push((future, first, last));
    }
    drop(guard);
    event.set();
    queue.put_nowait(()).unwrap();
    for (future, first, last) in polled {
        assert_eq!((first.count(), last.count()), (0, 1));
        assert_eq!(Arc::strong_count(&last), 1);
        drop(future);
    }
    assert!(lock.try_acquire().is_some());
}

// === wakers that panic ===

/// Panics where it should wake somebody.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new("a waker panics"));
    }
}

/// Has many wait, of whom one in the middle has a waker that panics; calls `wake`; tells how many of the others were woken.
fn woken_beside_a_bomb<F: Future>(wait: impl Fn() -> F, wake: impl FnOnce()) -> (usize, bool) {
    const WAITERS: usize = 1000;
    let mut futures: Vec<_> = (0..WAITERS).map(|_| Box::pin(wait())).collect();
    let (wakes, waker) = Wakes::new();
    for (n, future) in futures.iter_mut().enumerate() {
        let bomb = Waker::from(Arc::new(Bomb));
        let waker = if n == 7 { &bomb } else { &waker };
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    let panicked = catch_unwind(AssertUnwindSafe(wake)).is_err();
    (WAITERS - 1 - wakes.count(), panicked)
}

#[test]
fn a_waker_that_panics_keeps_no_wake_up_from_others() {
    within_patience("a plain thread", || {
        let event = Event::new();
        assert_eq!(woken_beside_a_bomb(|| event.wait(), || event.set()), (0, true), "event");
        let queue = Queue::<u8>::new(0);
        assert_eq!(woken_beside_a_bomb(|| queue.get(), || queue.shutdown(true)), (0, true), "shutdown");
        let queue = Queue::new(1);
        queue.put_nowait(1).unwrap();
        assert_eq!(woken_beside_a_bomb(|| queue.join(), || queue.task_done().unwrap()), (0, true), "join");
        let condition = Condition::new();
        let wait = || async {
            let mut guard = condition.acquire().await;
            condition.wait(&mut guard).await;
        };
        let notify = || {
            let _guard = condition.try_acquire().unwrap();
            condition.notify_all();
        };
        assert_eq!(woken_beside_a_bomb(wait, notify), (0, true), "condition");
    });
}

#[test]
fn what_a_waker_that_panics_was_given_is_not_lost() {
    within_patience("a plain thread", || {
        let bomb = Waker::from(Arc::new(Bomb));
        let (wakes, waker) = Wakes::new();
        let (mut bombed, mut cx) = (Context::from_waker(&bomb), Context::from_waker(&waker));

        let semaphore = Semaphore::new(1);
        let permit = semaphore.try_acquire().unwrap();
        let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
        assert!(first.as_mut().poll(&mut bombed).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(permit))).is_err());
        drop(first);
        assert!(wakes.count() == 1 && second.as_mut().poll(&mut cx).is_ready());

        let queue = Queue::new(0);
        let (mut first, mut second) = (Box::pin(queue.get()), Box::pin(queue.get()));
        assert!(first.as_mut().poll(&mut bombed).is_pending() && second.as_mut().poll(&mut cx).is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| queue.put_nowait('a'))).is_err());
        assert_eq!(queue.qsize(), 1);
        drop(first);
        assert!(wakes.count() == 2 && second.as_mut().poll(&mut cx).is_ready());
    });
}

// === wakers that use what calls them ===

/// What a waker of this kind does whenever it is cloned, called or dropped.
type Deed = Box<dyn Fn() + Send + Sync>;

/// A waker that does something each time that anything is done with it.
fn busybody(deed: Deed) -> Waker {
    /// # Safety
    ///
    /// The data is of an `Arc` that is not dropped before the end.
    unsafe fn act(data: *const ()) {
        // SAFETY: as the caller says.
        unsafe { (*data.cast::<Deed>())() }
    }
    /// # Safety
    ///
    /// As for [`act`]; and the `Arc` is the caller's to give away.
    unsafe fn act_last(data: *const ()) {
        // SAFETY: as the caller says.
        let deed = unsafe { Arc::from_raw(data.cast::<Deed>()) };
        deed();
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            // SAFETY: a waker has an `Arc`, and the clone has one more.
            unsafe {
                Arc::increment_strong_count(data.cast::<Deed>());
                act(data);
            }
            RawWaker::new(data, &VTABLE)
        },
        // SAFETY: a waker has an `Arc`, which goes with it.
        |data| unsafe { act_last(data) },
        // SAFETY: a waker has an `Arc`.
        |data| unsafe { act(data) },
        // SAFETY: a waker has an `Arc`, which goes with it.
        |data| unsafe { act_last(data) },
    );
    // SAFETY: the functions may be called from any thread, and keep the count of the `Arc`.
    unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(Arc::new(deed)).cast(), &VTABLE)) }
}

#[test]
fn a_waker_may_use_what_clones_wakes_and_drops_it() {
    // If any of this happened under a mutex of the primitive it would wait for itself.
    within_patience("a plain thread", || {
        let deeds = Arc::new(AtomicUsize::new(0));
        let (lock, semaphore) = (Arc::new(Lock::new()), Arc::new(Semaphore::new(0)));
        let (event, condition) = (Arc::new(Event::new()), Arc::new(Condition::new()));
        let (empty, full) = (Queue::new(0), Queue::new(1));
        full.put_nowait(1).unwrap();
        let deed: Arc<dyn Fn() + Send + Sync> = Arc::new({
            let (lock, semaphore, deeds) = (lock.clone(), semaphore.clone(), deeds.clone());
            let (event, condition, empty, full) =
                (event.clone(), condition.clone(), empty.clone(), full.clone());
            move || {
                deeds.fetch_add(1, SeqCst);
                let _ =
                    (lock.try_acquire(), lock.statistics(), semaphore.try_acquire(), semaphore.statistics());
                let _ = (event.statistics(), condition.statistics(), empty.statistics(), full.statistics());
                // Somebody who begins to wait, and gives up.
                assert!(waits(pin!(condition.lock().acquire())) || !condition.locked());
                let _ = (waits(pin!(event.wait())), waits(pin!(full.join())));
            }
        });
        // Each is another, so that they replace one another.
        let wakers = [(); 3].map(|()| {
            let deed = deed.clone();
            busybody(Box::new(move || deed()))
        });
        let all: Vec<Boxed<()>> = vec![
            {
                let lock = lock.clone();
                boxed(async move { drop(lock.acquire().await) })
            },
            {
                let semaphore = semaphore.clone();
                boxed(async move { drop(semaphore.acquire().await) })
            },
            {
                let event = event.clone();
                boxed(async move { event.wait().await })
            },
            {
                let condition = condition.clone();
                boxed(async move {
                    let mut guard = condition.acquire().await;
                    condition.wait(&mut guard).await;
                })
            },
            {
                let empty = empty.clone();
                boxed(async move { assert_eq!(empty.get().await, Ok(2)) })
            },
            {
                let full = full.clone();
                boxed(async move { full.put(2).await.unwrap() })
            },
            {
                let full = full.clone();
                boxed(async move { full.join().await })
            },
        ];
        let guard = lock.try_acquire().unwrap();
        let mut futures: Vec<_> = all.into_iter().map(|future| (future, false)).collect();
        let mut poll_all = |waker: &Waker| {
            for (future, ended) in futures.iter_mut().filter(|(_, ended)| !ended) {
                *ended = future.as_mut().poll(&mut Context::from_waker(waker)).is_ready();
            }
            futures.iter().filter(|(_, ended)| *ended).count()
        };
        // Cloned; cloned and dropped, as others take their place.
        assert_eq!(wakers.iter().map(&mut poll_all).sum::<usize>(), 0);
        drop(guard);
        semaphore.release();
        event.set();
        {
            let _guard = condition.try_acquire().unwrap();
            condition.notify_all();
        }
        empty.put_nowait(2).unwrap();
        assert!(full.get_nowait().is_ok());
        poll_all(&wakers[0]);
        full.task_done().unwrap();
        assert!(full.get_nowait().is_ok());
        full.task_done().unwrap();
        assert_eq!(poll_all(&wakers[1]), 7);
        assert!(deeds.load(SeqCst) > 3 * 7, "{deeds:?}");
    });
}
