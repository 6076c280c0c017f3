//! Plain threads beside tasks, several loops at once, and executors that are not ours.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, future};
use kumihimo as asyncio;
use kumihimo::{Barrier, Condition, Event, Lock, Queue, Semaphore};

use crate::support::{Flavour, everywhere, on, within_patience};
use crate::{on_each, settle};

/// Somebody else's executor, as small as it can be: one future on one thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs a function in plain threads, and waits for them without blocking the loop.
async fn in_threads(count: usize, function: impl Fn(usize) + Clone + Send + 'static) {
    asyncio::to_thread(move || {
        thread::scope(|scope| {
            for n in 0..count {
                let function = function.clone();
                scope.spawn(move || function(n));
            }
        })
    })
    .await;
}

const ROUNDS: usize = 300;

#[test]
fn threads_and_tasks_take_turns_with_a_lock() {
    everywhere(async || {
        let lock = Arc::new(Lock::with_value(0));
        let tasks = (0..3).map(|_| {
            let lock = lock.clone();
            async move {
                for _ in 0..ROUNDS {
                    let mut guard = lock.acquire().await;
                    let seen = *guard;
                    asyncio::yield_now().await;
                    *guard = seen + 1;
                }
            }
        });
        let tasks = asyncio::create_task(asyncio::gather(tasks.collect::<Vec<_>>()));
        let shared = lock.clone();
        in_threads(3, move |_| (0..ROUNDS).for_each(|_| *shared.blocking_acquire() += 1)).await;
        tasks.await;
        assert_eq!(*lock.acquire().await, 6 * ROUNDS);
    });
}

#[test]
fn threads_and_tasks_share_permits() {
    everywhere(async || {
        let semaphore = Arc::new(Semaphore::new(2));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let enter = {
            let (inside, most) = (inside.clone(), most.clone());
            move || most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst)
        };
        let tasks = (0..3).map(|_| {
            let (semaphore, inside, enter) = (semaphore.clone(), inside.clone(), enter.clone());
            async move {
                for _ in 0..ROUNDS {
                    let _permit = semaphore.acquire().await;
                    enter();
                    asyncio::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                }
            }
        });
        let tasks = asyncio::create_task(asyncio::gather(tasks.collect::<Vec<_>>()));
        let (shared, counter) = (semaphore.clone(), inside.clone());
        in_threads(3, move |_| {
            for _ in 0..ROUNDS {
                let _permit = shared.blocking_acquire();
                enter();
                counter.fetch_sub(1, SeqCst);
            }
        })
        .await;
        tasks.await;
        assert!((1..=2).contains(&most.load(SeqCst)));
        assert_eq!((inside.load(SeqCst), semaphore.statistics().value), (0, 2));
    });
}

#[test]
fn items_go_from_threads_to_tasks_to_threads() {
    everywhere(async || {
        let (first, second) = (Queue::new(3), Queue::new(3));
        let tasks = (0..2).map(|_| {
            let (first, second) = (first.clone(), second.clone());
            async move {
                while let Ok(item) = first.get().await {
                    second.put(item).await.unwrap();
                    first.task_done().unwrap();
                }
            }
        });
        let tasks = asyncio::create_task(asyncio::gather(tasks.collect::<Vec<_>>()));
        let (sum, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let both = Arc::new(Barrier::new(2));
        let shared = (first.clone(), second.clone(), sum.clone(), count.clone());
        in_threads(4, move |n| {
            let (first, second, sum, count) = &shared;
            if n < 2 {
                (0..ROUNDS).for_each(|item| first.blocking_put(2 * item + n).unwrap());
                // Once both have put all, they wait until all has gone through.
                both.blocking_wait().unwrap();
                first.blocking_join();
                first.shutdown(false);
                second.shutdown(false);
                return;
            }
            while let Ok(item) = second.blocking_get() {
                sum.fetch_add(item, SeqCst);
                count.fetch_add(1, SeqCst);
                second.task_done().unwrap();
            }
        })
        .await;
        tasks.await;
        let items = 2 * ROUNDS;
        assert_eq!((count.load(SeqCst), sum.load(SeqCst)), (items, items * (items - 1) / 2));
    });
}

#[test]
fn threads_wait_for_events_conditions_and_each_other() {
    everywhere(async || {
        let (event, barrier) = (Arc::new(Event::new()), Arc::new(Barrier::new(5)));
        let condition = Arc::new(Condition::with_value(0));
        let shared = (event.clone(), barrier.clone(), condition.clone());
        let threads = asyncio::create_task(in_threads(3, move |_| {
            let (event, barrier, condition) = &shared;
            event.blocking_wait();
            let mut guard = condition.blocking_acquire();
            while *guard < 2 {
                condition.blocking_wait(&mut guard);
            }
            drop(guard);
            (0..20).for_each(|_| assert!(barrier.blocking_wait().unwrap() < 5));
        }));
        let tasks = (0..2).map(|_| {
            let (event, barrier, condition) = (event.clone(), barrier.clone(), condition.clone());
            async move {
                event.wait().await;
                let mut guard = condition.acquire().await;
                *guard += 1;
                condition.notify_all();
                condition.wait_until(&mut guard, |count| (*count >= 2).then_some(())).await;
                drop(guard);
                for _ in 0..20 {
                    assert!(barrier.wait().await.unwrap() < 5);
                }
            }
        });
        let tasks = asyncio::create_task(asyncio::gather(tasks.collect::<Vec<_>>()));
        asyncio::yield_now().await;
        event.set();
        tasks.await;
        threads.await;
        assert_eq!((event.statistics().waiting, condition.statistics().waiting), (0, 0));
    });
}

#[test]
fn a_blocking_form_in_a_task_panics_and_changes_nothing() {
    on_each(async |flavour| {
        let lock = Arc::new(Lock::new());
        let semaphore = Arc::new(Semaphore::new(0));
        let (event, barrier) = (Arc::new(Event::new()), Arc::new(Barrier::new(2)));
        let condition = Arc::new(Condition::new());
        let (empty, full) = (Queue::<u8>::new(1), Queue::new(1));
        full.put_nowait(1).unwrap();
        let guard = lock.acquire().await;
        type Call = Box<dyn FnOnce() + Send>;
        let calls: [(&str, Call); 8] = [
            (
                "lock",
                Box::new({
                    let lock = lock.clone();
                    move || drop(lock.blocking_acquire())
                }),
            ),
            (
                "semaphore",
                Box::new({
                    let semaphore = semaphore.clone();
                    move || drop(semaphore.blocking_acquire())
                }),
            ),
            (
                "event",
                Box::new({
                    let event = event.clone();
                    move || event.blocking_wait()
                }),
            ),
            (
                "barrier",
                Box::new({
                    let barrier = barrier.clone();
                    move || {
                        let _ = barrier.blocking_wait();
                    }
                }),
            ),
            (
                "condition",
                Box::new({
                    let condition = condition.clone();
                    move || {
                        let mut guard = condition.try_acquire().unwrap();
                        condition.blocking_wait(&mut guard);
                    }
                }),
            ),
            (
                "get",
                Box::new({
                    let empty = empty.clone();
                    move || {
                        let _ = empty.blocking_get();
                    }
                }),
            ),
            (
                "put",
                Box::new({
                    let full = full.clone();
                    move || {
                        let _ = full.blocking_put(2);
                    }
                }),
            ),
            (
                "join",
                Box::new({
                    let full = full.clone();
                    move || full.blocking_join()
                }),
            ),
        ];
        for (name, call) in calls {
            let error = asyncio::create_task(async move { call() }).outcome().await.unwrap_err();
            let asyncio::TaskError::Panicked(panic) = error else { panic!("{name} on {flavour}: {error}") };
            assert!(panic.message().contains("was called in a task"), "{name}: {}", panic.message());
            assert!(panic.message().contains("`to_thread`"), "{name}: {}", panic.message());
        }
        drop(guard);
        assert!(!lock.locked() && semaphore.statistics().waiting == 0 && event.statistics().waiting == 0);
        assert!(!condition.locked() && condition.statistics().waiting == 0 && barrier.n_waiting() == 0);
        assert_eq!((empty.statistics().getters, full.statistics().putters, full.qsize()), (0, 0, 1));
        // In a thread it is fine.
        asyncio::to_thread(move || drop(lock.blocking_acquire())).await;
    });
}

// === other executors ===

#[test]
fn they_work_on_an_executor_of_somebody_else() {
    within_patience("another executor", || {
        let lock = Arc::new(Lock::with_value(0));
        let (requests, answers) = (Queue::new(1), Queue::new(1));
        let event = Arc::new(Event::new());
        let condition = Arc::new(Condition::with_value(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    block_on(async {
                        event.wait().await;
                        while let Ok(n) = requests.get().await {
                            *lock.acquire().await += 1;
                            answers.put(2 * n).await.unwrap();
                        }
                        let mut ended = condition.acquire().await;
                        condition.wait_until(&mut ended, |ended| ended.then_some(())).await;
                    })
                });
            }
            event.set();
            block_on(async {
                let asks = async {
                    for n in 0..ROUNDS {
                        requests.put(n).await.unwrap();
                    }
                    requests.shutdown(false);
                };
                let hears = async {
                    let mut sum = 0;
                    for _ in 0..ROUNDS {
                        sum += answers.get().await.unwrap();
                    }
                    sum
                };
                let ((), sum) = future::join(asks, hears).await;
                assert_eq!(sum, ROUNDS * (ROUNDS - 1));
                *condition.acquire().await = true;
                let _guard = condition.acquire().await;
                condition.notify_all();
            });
        });
        assert_eq!(*block_on(lock.acquire()), ROUNDS);
    });
}

#[test]
fn they_work_under_futures_that_poll_who_was_woken() {
    everywhere(async || {
        let (semaphore, barrier) = (Semaphore::new(3), Barrier::new(10));
        let queue = Queue::new(1);
        let mut all: FuturesUnordered<_> = (0..100)
            .map(|n| {
                let (semaphore, barrier, queue) = (&semaphore, &barrier, &queue);
                async move {
                    drop(semaphore.acquire().await);
                    barrier.wait().await.unwrap();
                    match n % 2 {
                        0 => queue.put(n).await.map(|()| 0),
                        _ => queue.get().await,
                    }
                }
            })
            .collect();
        let mut sum = 0;
        while let Some(item) = all.next().await {
            sum += item.unwrap();
        }
        assert_eq!(sum, (0..100).step_by(2).sum::<usize>());
        assert!(queue.empty() && semaphore.statistics().value == 3);
    });
}

#[test]
fn several_loops_share_them() {
    let lock = Arc::new(Lock::with_value(0));
    let barrier = Arc::new(Barrier::new(Flavour::ALL.len()));
    let queue = Queue::new(2);
    thread::scope(|scope| {
        for flavour in Flavour::ALL {
            let (lock, barrier, queue) = (lock.clone(), barrier.clone(), queue.clone());
            scope.spawn(move || {
                // In real time: a mock clock knows nothing of other loops.
                let runner = flavour.builder_in_real_time().handle_sigint(false).build().unwrap();
                let main = async move {
                    for round in 0..50 {
                        let number = barrier.wait().await.unwrap();
                        *lock.acquire().await += 1;
                        // Two put what the other two take.
                        match number % 2 {
                            0 => queue.put(round).await.unwrap(),
                            _ => assert!((0..=round).contains(&queue.get().await.unwrap())),
                        }
                    }
                };
                within_patience(flavour, || runner.run(main).unwrap());
            });
        }
    });
    assert_eq!(*lock.blocking_acquire(), 200);
    assert!(queue.empty());
}

// === guards that travel ===

#[test]
fn guards_and_permits_may_be_sent_and_dropped_elsewhere() {
    static LOCK: Lock<u32> = Lock::with_value(0);
    static SEMAPHORE: Semaphore = Semaphore::new(1);
    for flavour in Flavour::ALL {
        on(flavour, async {
            // To another task.
            let (mut guard, permit) = (LOCK.acquire().await, SEMAPHORE.acquire().await);
            let other = asyncio::create_task(async move {
                asyncio::yield_now().await;
                *guard += 1;
                let _permit = permit;
            });
            assert!(LOCK.try_acquire().is_none() && SEMAPHORE.try_acquire().is_none());
            other.await;
            // To a plain thread, through a queue.
            let owned = Arc::new(Lock::with_value(String::new()));
            let guards = Queue::new(0);
            guards.put_nowait((owned.acquire_owned().await, LOCK.acquire().await)).unwrap();
            let waiter = asyncio::create_task({
                let owned = owned.clone();
                async move { owned.acquire().await.clone() }
            });
            settle().await;
            assert!(!waiter.done());
            let taken = guards.clone();
            asyncio::to_thread(move || {
                let (mut text, mut number) = taken.blocking_get().unwrap();
                text.push_str("elsewhere");
                *number += 1;
            })
            .await;
            assert_eq!(waiter.await, "elsewhere");
            // To a task that is cancelled, and to one that never runs.
            for polled in [true, false] {
                let guard = LOCK.acquire().await;
                let doomed = asyncio::create_task(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
                if polled {
                    settle().await;
                }
                doomed.cancel();
                assert!(doomed.outcome().await.is_err() && !LOCK.locked());
            }
        });
    }
    assert_eq!((*LOCK.blocking_acquire(), SEMAPHORE.statistics().value), (8, 1));
}

#[test]
fn a_guard_outlives_its_loop() {
    let lock = Arc::new(Lock::with_value(1));
    let (send, receive) = mpsc::channel();
    let shared = lock.clone();
    on(Flavour::Workers(2), async move { send.send(shared.acquire_owned().await).unwrap() });
    let guard = receive.recv().unwrap();
    assert!(lock.locked());
    drop(guard);
    assert_eq!(on(Flavour::CurrentThread, async { *lock.acquire().await }), 1);
}
