//! Users' models: what they find, and what they let pass.
//!
//! With `--cfg kumihimo_loom` every interleaving is visited; without, each of these that is sound runs once.

use std::time::Duration;

use asyncio::model::Builder;
use asyncio::model::sync::Arc;
use asyncio::model::sync::atomic::{AtomicU32, Ordering::*};
use asyncio::{Condition, Event, Lock, Queue, Semaphore};
use kumihimo as asyncio;

/// Explores, and says how much there was.
fn explore<F, Fut>(settings: &Builder, code: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let explored = settings.check(code);
    println!("{}: {explored}", std::thread::current().name().unwrap_or_default());
}

#[test]
fn tasks_and_gather() {
    explore(&Builder::new(), || async {
        let visits = Arc::new(AtomicU32::new(0));
        let visit = |visits: Arc<AtomicU32>| async move { visits.fetch_add(1, SeqCst) };
        asyncio::gather!(visit(visits.clone()), visit(visits.clone())).await;
        assert_eq!(visits.load(SeqCst), 2);
    });
}

#[test]
fn a_lock_guards_across_an_await() {
    explore(&Builder::new(), || async {
        let visits = Arc::new(Lock::with_value(0));
        let visit = |visits: Arc<Lock<u32>>| async move {
            let mut visits = visits.acquire().await;
            let before = *visits;
            asyncio::yield_now().await;
            *visits = before + 1;
        };
        let tasks =
            [asyncio::create_task(visit(visits.clone())), asyncio::create_task(visit(visits.clone()))];
        for task in tasks {
            task.await;
        }
        assert_eq!(*visits.acquire().await, 2);
    });
}

#[test]
fn an_event_misses_nobody() {
    explore(&Builder::new().spurious_polls(1), || async {
        let event = Arc::new(Event::new());
        let waiter = asyncio::create_task({
            let event = event.clone();
            async move { event.wait().await }
        });
        event.set();
        waiter.await;
    });
}

#[test]
fn a_condition_hands_over() {
    explore(&Builder::new(), || async {
        let condition = Arc::new(Condition::with_value(0));
        let waiter = asyncio::create_task({
            let condition = condition.clone();
            async move {
                let mut number = condition.acquire().await;
                condition.wait_until(&mut number, |number| (*number == 1).then_some(())).await;
                *number += 1;
            }
        });
        let mut number = condition.acquire().await;
        *number = 1;
        condition.notify(1);
        drop(number);
        waiter.await;
        assert_eq!(*condition.acquire().await, 2);
    });
}

#[test]
fn a_semaphore_lets_two_in() {
    explore(&Builder::new(), || async {
        let (limit, inside) = (Arc::new(Semaphore::new(2)), Arc::new(AtomicU32::new(0)));
        let enter = |limit: Arc<Semaphore>, inside: Arc<AtomicU32>| async move {
            let _permit = limit.acquire().await;
            assert!(inside.fetch_add(1, SeqCst) < 2);
            asyncio::yield_now().await;
            inside.fetch_sub(1, SeqCst);
        };
        let tasks = (0..3).map(|_| enter(limit.clone(), inside.clone()));
        let tasks: Vec<_> = tasks.map(asyncio::create_task).collect();
        for task in tasks {
            task.await;
        }
    });
}

#[test]
fn a_queue_keeps_the_order() {
    explore(&Builder::new(), || async {
        let queue = Queue::new(1);
        let consumer = asyncio::create_task({
            let queue = queue.clone();
            async move { [queue.get().await, queue.get().await, queue.get().await] }
        });
        for number in 1..=2 {
            queue.put(number).await.unwrap();
        }
        queue.shutdown(false);
        assert_eq!(consumer.await, [Ok(1), Ok(2), Err(asyncio::QueueShutDown)]);
    });
}

#[test]
fn a_group_cancels_the_others() {
    explore(&Builder::new(), || async {
        let failed = asyncio::task_group(async |tg| {
            let _sleeps = tg.create_task(async {
                asyncio::sleep(Duration::from_secs(3600)).await;
                Ok(())
            });
            let _fails = tg.create_task(async { Err::<(), _>("on purpose") });
            Ok(())
        });
        let errors = failed.await.unwrap_err();
        assert_eq!(errors.exceptions(), ["on purpose"]);
    });
}

/// A time-out may strike at any moment, or never: what it wraps has then ended, or not; and nothing is lost.
#[test]
fn a_time_out_against_an_item() {
    explore(&Builder::new(), || async {
        let queue = Queue::new(0);
        let getter = asyncio::create_task({
            let queue = queue.clone();
            async move { asyncio::wait_for(async move { queue.get().await }, Duration::from_secs(1)).await.ok() }
        });
        queue.put(1).await.unwrap();
        match getter.await {
            Some(item) => assert_eq!((item, queue.qsize()), (Ok(1), 0)),
            None => assert_eq!(queue.get_nowait().unwrap(), 1),
        }
    });
}

#[test]
fn timers_fire_in_order_of_deadlines_or_later() {
    explore(&Builder::new(), || async {
        let start = asyncio::Instant::now();
        let long = asyncio::create_task(async move {
            asyncio::sleep(Duration::from_secs(2)).await;
            start.elapsed()
        });
        asyncio::sleep(Duration::from_secs(1)).await;
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert!(long.await >= Duration::from_secs(2));
    });
}

#[test]
fn a_request_to_cancel_is_delivered_once() {
    explore(&Builder::new(), || async {
        let task = asyncio::create_task(async {
            let caught = asyncio::catch_cancelled(asyncio::sleep(Duration::from_secs(1))).await.is_err();
            asyncio::yield_now().await;
            caught
        });
        let requested = task.cancel();
        match task.outcome().await {
            // It may have slept through before, or have been cancelled before it began.
            Ok(caught) => assert!(requested || !caught),
            Err(error) => assert!(requested && error.is_cancelled()),
        }
    });
}

#[test]
fn a_thread_and_a_task() {
    explore(&Builder::new(), || async {
        let lock = Arc::new(Lock::with_value(0));
        let inside = lock.clone();
        let thread = asyncio::create_task(asyncio::to_thread(move || *inside.blocking_acquire() += 1));
        *lock.acquire().await += 1;
        thread.await;
        assert_eq!(*lock.acquire().await, 2);
    });
}

#[test]
fn a_lock_outlives_who_is_cancelled_at_any_await() {
    let settings = Builder::new().cancel_everywhere("worker");
    explore(&settings, || async {
        let lock = Arc::new(Lock::new());
        let worker = asyncio::task::Builder::new().name("worker").spawn({
            let lock = lock.clone();
            async move {
                let _guard = lock.acquire().await;
                asyncio::yield_now().await;
            }
        });
        let guard = lock.acquire().await;
        asyncio::yield_now().await;
        drop(guard);
        let _ = worker.outcome().await;
        assert!(!lock.locked());
    });
}

/// As many tasks as are asked for, on two workers.
#[test]
fn eight_tasks() {
    explore(&Builder::new().preemption_bound(1).deviations(0), || async {
        let count = Arc::new(AtomicU32::new(0));
        let add = |count: Arc<AtomicU32>| async move { count.fetch_add(1, Relaxed) };
        let tasks: Vec<_> = (0..8).map(|_| asyncio::create_task(add(count.clone()))).collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(count.load(Relaxed), 8);
    });
}

/// What is found with loom only.
#[cfg(kumihimo_loom)]
mod found {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use asyncio::model::sync::UnsafeCell;
    use asyncio::model::sync::atomic::AtomicBool;

    use super::*;

    /// What a model fails with.
    fn failure<F, Fut>(settings: &Builder, code: F) -> String
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let failed = catch_unwind(AssertUnwindSafe(|| settings.check(code)));
        let payload = failed.expect_err("the model has a bug");
        payload.downcast_ref::<String>().expect("a text").clone()
    }

    #[test]
    fn a_lost_update_across_an_await() {
        let failure = failure(&Builder::new(), || async {
            let visits = Arc::new(AtomicU32::new(0));
            let visit = |visits: Arc<AtomicU32>| async move {
                let before = visits.load(SeqCst);
                asyncio::yield_now().await;
                visits.store(before + 1, SeqCst);
            };
            asyncio::gather!(visit(visits.clone()), visit(visits.clone())).await;
            assert_eq!(visits.load(SeqCst), 2, "visits");
        });
        assert!(failure.contains("visits"), "{failure}");
    }

    #[test]
    fn two_locks_in_two_orders() {
        let failure = failure(&Builder::new(), || async {
            let (a, b) = (Arc::new(Lock::new()), Arc::new(Lock::new()));
            let both = |first: Arc<Lock>, second: Arc<Lock>| async move {
                let _first = first.acquire().await;
                let _second = second.acquire().await;
                Ok::<(), ()>(())
            };
            let done = asyncio::task_group(async |tg| {
                let _one = tg.create_task(both(a.clone(), b.clone()));
                let _two = tg.create_task(both(b.clone(), a.clone()));
                Ok(())
            });
            done.await.unwrap();
        });
        assert!(failure.contains("deadlock"), "{failure}");
        // Which lock is told by where it was made.
        let awaited = failure.split("waits for the lock made at tests/model.rs:").skip(1);
        let awaited: Vec<_> = awaited.map(|rest| rest.split(',').next()).collect();
        assert!(awaited.len() == 2 && awaited[0] != awaited[1], "{failure}");
    }

    /// A cell that tasks share, to be synchronised by somebody else.
    struct Shared(AtomicBool, UnsafeCell<u32>);

    // SAFETY: whether it is, is what loom finds out.
    unsafe impl Sync for Shared {}

    fn publish(order: std::sync::atomic::Ordering) -> impl Future<Output = ()> {
        let shared = Arc::new(Shared(AtomicBool::new(false), UnsafeCell::new(0)));
        let reader = shared.clone();
        async move {
            let writer = asyncio::create_task(async move {
                // SAFETY: nobody looks before the flag is set.
                shared.1.with_mut(|number| unsafe { *number = 1 });
                shared.0.store(true, order);
            });
            let reader = asyncio::create_task(async move {
                if reader.0.load(Acquire) {
                    // SAFETY: the flag is set, so nobody writes any more.
                    assert_eq!(reader.1.with(|number| unsafe { *number }), 1);
                }
            });
            writer.await;
            reader.await;
        }
    }

    #[test]
    fn a_race_between_two_steps() {
        let failure = failure(&Builder::new(), || publish(Relaxed));
        assert!(failure.contains("a data race"), "{failure}");
    }

    #[test]
    fn no_race_with_a_release() {
        explore(&Builder::new(), || publish(Release));
    }

    #[test]
    fn a_task_that_nobody_wakes() {
        let failure = failure(&Builder::new(), || async {
            let task = asyncio::create_task(std::future::pending::<()>());
            task.await;
        });
        assert!(failure.contains("deadlock"), "{failure}");
    }

    #[test]
    fn a_panic_that_nobody_looks_at() {
        let failure = failure(&Builder::new(), || async {
            drop(asyncio::create_task(async { panic!("alone") }));
            asyncio::yield_now().await;
        });
        assert!(failure.contains("alone"), "{failure}");
    }

    /// A future that relies on being polled only when it was woken.
    #[test]
    fn a_poll_for_nothing() {
        struct Once(bool);
        impl Future for Once {
            type Output = ();
            fn poll(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<()> {
                if std::mem::replace(&mut self.0, true) {
                    return std::task::Poll::Ready(());
                }
                let waker = cx.waker().clone();
                drop(asyncio::create_task(async move { waker.wake() }));
                std::task::Poll::Pending
            }
        }
        let code = || async {
            let woken = Arc::new(AtomicU32::new(0));
            let sees = woken.clone();
            let waiter = asyncio::create_task(async move {
                Once(false).await;
                assert_eq!(sees.load(SeqCst), 1, "polled too early");
            });
            asyncio::yield_now().await;
            woken.store(1, SeqCst);
            waiter.await;
        };
        let failure = failure(&Builder::new().spurious_polls(1), code);
        assert!(failure.contains("polled too early"), "{failure}");
    }

    /// A task that can't be cancelled where it holds something.
    #[test]
    fn an_await_that_can_not_be_cancelled() {
        let settings = Builder::new().cancel_everywhere("worker");
        let failure = failure(&settings, || async {
            let busy = Arc::new(AtomicBool::new(false));
            let worker = asyncio::task::Builder::new().name("worker").spawn({
                let busy = busy.clone();
                async move {
                    asyncio::yield_now().await;
                    busy.store(true, SeqCst);
                    asyncio::yield_now().await;
                    busy.store(false, SeqCst);
                }
            });
            let _ = worker.outcome().await;
            assert!(!busy.load(SeqCst), "left busy");
        });
        assert!(failure.contains("left busy"), "{failure}");
    }

    #[test]
    fn sockets_are_not_modelled() {
        let failure = failure(&Builder::new(), || async {
            drop(asyncio::net::TcpListener::bind("127.0.0.1:0").await);
        });
        assert!(failure.contains("in a model"), "{failure}");
    }

    #[test]
    fn processes_are_not_modelled() {
        let failure = failure(&Builder::new(), || async {
            drop(asyncio::ProcessPoolExecutor::builder().build());
        });
        assert!(failure.contains("in a model"), "{failure}");
    }

    /// A failure is recorded, and the recording runs alone.
    #[test]
    fn a_failure_can_be_replayed() {
        let exe = std::env::current_exe().unwrap();
        let run = |replay: Option<&str>| {
            let mut command = std::process::Command::new(&exe);
            command.args(["--exact", "found::fails_on_purpose", "--ignored", "--nocapture"]);
            match replay {
                Some(path) => command.env("KUMIHIMO_MODEL_REPLAY", path),
                None => command.env_remove("KUMIHIMO_MODEL_REPLAY"),
            };
            let output = command.output().unwrap();
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
        };
        let text = run(None);
        assert!(text.contains("tests/model.rs") && text.contains("`writer`"), "{text}");
        let (_, path) = text.split_once("KUMIHIMO_MODEL_REPLAY=").expect("says how to replay");
        let path = path.split_whitespace().next().unwrap();
        let again = run(Some(path));
        let schedule = |text: &str| {
            let (_, after) = text.split_once("what happened:\n").unwrap();
            after.lines().take_while(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(schedule(&text), schedule(&again));
        let bad = run(Some("/nowhere.json"));
        assert!(bad.contains("a failing model has written"), "{bad}");
    }

    #[test]
    #[ignore = "run by the one above"]
    fn fails_on_purpose() {
        asyncio::model(|| async {
            let count = Arc::new(AtomicU32::new(0));
            let other = count.clone();
            let writer = asyncio::task::Builder::new().name("writer").spawn(async move {
                other.store(1, SeqCst);
                asyncio::yield_now().await;
                other.store(2, SeqCst);
            });
            assert_ne!(count.load(SeqCst), 1, "seen in between");
            writer.await;
        });
    }
}
