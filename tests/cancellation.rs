//! Cancellation: scopes, forwards, shields, and how they fit together. (The traces of CPython are in `conformance/`.)

// Tasks are handed out of a run on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]

mod support;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use futures_util::{FutureExt, StreamExt, join, select, stream::FuturesUnordered};
use kumihimo as asyncio;
use kumihimo::{CancelledError, Task, TaskError, catch_cancelled, finally};
use support::{Flavour, everywhere, millis, on, secs};

/// What happened, in order.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn note(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes when it is dropped.
struct Noting(Events, &'static str);

impl Drop for Noting {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

/// Lets other tasks come to where they wait.
async fn settle() {
    asyncio::sleep(millis(1)).await;
}

async fn assert_cancelled<T: std::fmt::Debug>(task: Task<T>) {
    let error = task.outcome().await.expect_err("it is cancelled");
    assert!(error.is_cancelled(), "{error}");
}

#[test]
fn scopes_unwind_from_the_inside_out() {
    everywhere(async || {
        let events = Events::default();
        let (a, b, c, d) = (events.clone(), events.clone(), events.clone(), events.clone());
        let task = asyncio::create_task(async move {
            let inner = async {
                let _dropped = Noting(a.clone(), "drop in the innermost");
                finally(pending::<()>(), async {
                    asyncio::sleep(millis(5)).await;
                    a.note("finally, with an await");
                })
                .await
            };
            let middle = async {
                if let Err(cancelled) = catch_cancelled(inner).await {
                    b.note("catch, and raise");
                    asyncio::sleep(millis(5)).await;
                    cancelled.raise().await
                }
            };
            let outer = finally(middle, async { c.note("outer finally") });
            let _dropped = Noting(d.clone(), "drop in the task");
            outer.await
        });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
        assert_eq!(
            events.take(),
            [
                "finally, with an await",
                "drop in the innermost",
                "catch, and raise",
                "outer finally",
                "drop in the task"
            ]
        );
    });
}

#[test]
fn finally_runs_on_every_way_out() {
    everywhere(async || {
        let events = Events::default();
        let clean_up = |events: &Events| {
            let events = events.clone();
            async move {
                asyncio::sleep(millis(1)).await;
                events.note("cleaned up");
            }
        };
        let task = asyncio::create_task(finally(async { 5 }, clean_up(&events)));
        assert_eq!(task.await, 5);
        assert_eq!(events.take(), ["cleaned up"]);

        let task = asyncio::create_task(finally(pending::<()>(), clean_up(&events)));
        settle().await;
        task.cancel_with("why");
        assert_eq!(task.outcome().await.unwrap_err().to_string(), "the task was cancelled: why");
        assert_eq!(events.take(), ["cleaned up"]);

        let panics = async { std::panic::resume_unwind(Box::new("work")) };
        let task: Task<()> = asyncio::create_task(finally(panics, clean_up(&events)));
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!() };
        assert_eq!(panic.message(), "work");
        assert_eq!(events.take(), ["cleaned up"]);

        // What the clean-up itself comes to replaces what the work came to.
        let task = asyncio::create_task(finally(pending::<()>(), async {
            std::panic::resume_unwind(Box::new("clean-up"))
        }));
        settle().await;
        task.cancel();
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!() };
        assert_eq!(panic.message(), "clean-up");
    });
}

#[test]
fn or_spawn_runs_the_clean_up_of_a_dropped_finally() {
    everywhere(async || {
        let events = Events::default();
        for or_spawn in [false, true] {
            let (dropped, spawned) = (events.clone(), events.clone());
            let left = finally(pending::<()>(), async move { dropped.note("never") });
            let right = finally(pending::<()>(), async move {
                asyncio::sleep(millis(5)).await;
                spawned.note("cleaned up");
            });
            let mut timer = pin!(asyncio::sleep(millis(1)).fuse());
            if or_spawn {
                let mut right = pin!(right.or_spawn().fuse());
                select! { () = right => unreachable!(), () = timer => {} }
            } else {
                let mut left = pin!(left.fuse());
                select! { () = left => unreachable!(), () = timer => {} }
            }
        }
        asyncio::sleep(millis(20)).await;
        assert_eq!(events.take(), ["cleaned up"]);

        // Where it is not dropped, it is an ordinary `finally`: once, and not as a task.
        let count = Arc::new(AtomicUsize::new(0));
        let counting = count.clone();
        let clean_up = async move {
            counting.fetch_add(1, Relaxed);
        };
        assert_eq!(finally(async { 1 }, clean_up).or_spawn().await, 1);
        settle().await;
        assert_eq!(count.load(Relaxed), 1);
    });
}

#[test]
fn select_does_not_eat_a_request() {
    everywhere(async || {
        let inner = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(60)))).shared();
        let awaited = inner.clone();
        let events = Events::default();
        let noting = events.clone();
        let task = asyncio::create_task(async move {
            let mut timer = pin!(asyncio::sleep(secs(1)).fuse());
            // The cancellation goes on to `inner`, whose clean-up takes longer than the timer. When the timer wins, the
            // request is not answered yet, so it is delivered at the next await.
            select! { () = awaited.fuse() => noting.note("inner"), () = timer => noting.note("timer") }
            if catch_cancelled(asyncio::sleep(secs(10))).await.is_err() {
                noting.note("cancelled after all");
            }
        });
        settle().await;
        task.cancel();
        task.await;
        assert_eq!(events.take(), ["timer", "cancelled after all"]);
        inner.wait_end().await;
        assert!(inner.cancelled());
    });
}

#[test]
fn select_over_leaves_is_cancelled() {
    everywhere(async || {
        let task = asyncio::create_task(async {
            let mut a = pin!(asyncio::sleep(secs(10)).fuse());
            let mut b = pin!(asyncio::sleep(secs(20)).fuse());
            select! { () = a => "a", () = b => "b" }
        });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
    });
}

#[test]
fn of_joined_scopes_one_takes_the_request() {
    everywhere(async || {
        let task = asyncio::create_task(async {
            let start = asyncio::Instant::now();
            let scope = || catch_cancelled(asyncio::sleep(secs(10)));
            let both = futures_util::join!(scope(), scope());
            (both.0.is_err(), both.1.is_err(), asyncio::get_running_loop().time() - start)
        });
        settle().await;
        task.cancel();
        // The other goes on, and keeps its timer.
        assert_eq!((&task).await, (true, false, secs(10)));
        assert!(!task.cancelled() && task.cancelling() == 1);
    });
}

#[test]
fn a_joined_branch_that_raises_takes_its_siblings_along() {
    everywhere(async || {
        let events = Events::default();
        let noting = events.clone();
        let task = asyncio::create_task(async move {
            let raising = async {
                asyncio::sleep(millis(5)).await;
                CancelledError::default().raise().await
            };
            let scoped = async {
                let caught = catch_cancelled(asyncio::sleep(secs(10))).await;
                noting.note(format!("the sibling's scope saw {caught:?}"));
            };
            let dropped = Noting(noting.clone(), "the sibling is dropped");
            let sibling = async move {
                let _dropped = dropped;
                pending::<()>().await
            };
            futures_util::join!(raising, scoped, sibling)
        });
        // Raised by hand: nobody made a request, and the sibling's scope is not the raising branch's.
        let handle = task.handle();
        assert!(task.outcome().await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(handle.cancelling(), 0);
        assert_eq!(events.take(), ["the sibling is dropped"]);
    });
}

#[test]
fn unordered_futures_are_cancelled_with_their_task() {
    everywhere(async || {
        let task = asyncio::create_task(async {
            let mut sleeps: FuturesUnordered<_> = (1..100).map(|n| asyncio::sleep(secs(n * 100))).collect();
            while sleeps.next().await.is_some() {}
        });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
    });
}

/// On workers, the task may have begun by the second request.
#[test]
fn which_message_wins() {
    on(Flavour::CurrentThread, async {
        for (begun, winner) in [(false, "second"), (true, "first")] {
            let task = asyncio::create_task(pending::<()>());
            if begun {
                settle().await;
            }
            task.cancel_with("first");
            task.cancel_with("second");
            assert_eq!(task.cancelling(), 2);
            let error = task.outcome().await.unwrap_err();
            assert_eq!(error.to_string(), format!("the task was cancelled: {winner}"));
        }
    });
}

#[test]
fn cancelling_an_awaiter_cancels_what_all_await() {
    everywhere(async || {
        let shared = asyncio::create_task(pending::<()>()).shared();
        let awaiters: Vec<_> = (0..3).map(|_| asyncio::create_task(shared.clone())).collect();
        settle().await;
        awaiters[1].cancel();
        for awaiter in awaiters {
            assert_cancelled(awaiter).await;
        }
        assert!(shared.cancelled());
    });
}

#[test]
fn a_cancellation_beats_a_value_that_is_not_delivered() {
    on(Flavour::CurrentThread, async {
        let inner = asyncio::create_task(async {
            asyncio::yield_now().await;
            "value"
        })
        .shared();
        let outer = asyncio::create_task(inner.clone());
        while !inner.done() {
            asyncio::yield_now().await;
        }
        assert!(!outer.done() && outer.cancel());
        assert_cancelled(outer).await;
        // The value is not lost to others.
        assert_eq!(inner.await, "value");
    });
}

#[test]
fn outcome_tells_whose_request_it_was() {
    everywhere(async || {
        let somebody_elses: Task<()> = asyncio::create_task(pending());
        let handle = somebody_elses.handle();
        let awaiter = asyncio::create_task(async move { somebody_elses.outcome().await.is_err() });
        settle().await;
        handle.cancel();
        assert!(awaiter.await);

        let inner: Task<()> = asyncio::create_task(pending());
        let awaiter = asyncio::create_task(async move { inner.outcome().await.is_err() });
        settle().await;
        awaiter.cancel();
        assert_cancelled(awaiter).await;
    });
}

#[test]
fn ten_thousand_are_cancelled_at_once() {
    everywhere(async || {
        let cleaned = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..10_000)
            .map(|i| {
                let cleaned = cleaned.clone();
                asyncio::create_task(finally(asyncio::sleep(secs(3600)), async move {
                    asyncio::sleep(millis(i % 5)).await;
                    cleaned.fetch_add(1, Relaxed);
                }))
            })
            .collect();
        settle().await;
        assert!(tasks.iter().all(|task| task.cancel()));
        for task in tasks {
            assert_cancelled(task).await;
        }
        assert_eq!(cleaned.load(Relaxed), 10_000);
    });
}

#[test]
fn one_is_cancelled_ten_thousand_times_from_everywhere() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner
            .run(async {
                let (begun, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
                let (beginning, stopped) = (begun.clone(), stop.clone());
                let task = asyncio::create_task(async move {
                    beginning.store(true, Release);
                    let mut caught = 0;
                    while !stopped.load(Acquire) {
                        caught += usize::from(catch_cancelled(asyncio::sleep(millis(1))).await.is_err());
                    }
                    caught
                });
                while !begun.load(Acquire) {
                    asyncio::yield_now().await;
                }
                let handle = task.handle();
                let storm = move || {
                    let threads = (0..4).map(|_| {
                        let handle = handle.clone();
                        thread::spawn(move || (0..2500).all(|_| handle.cancel()))
                    });
                    let threads: Vec<_> = threads.collect();
                    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
                };
                asyncio::to_thread(storm).await;
                assert_eq!(task.cancelling(), 10_000);
                stop.store(true, Release);
                let handle = task.handle();
                // A request may come after the last scope has ended.
                if let Ok(caught) = task.outcome().await {
                    assert!((1..=10_000).contains(&caught), "{caught}");
                }
                assert!(handle.done() && !handle.cancel() && handle.cancelling() == 10_000);
            })
            .unwrap();
    }
}

#[test]
fn cancels_race_with_ends() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner
            .run(async {
                for _ in 0..300 {
                    let inner = asyncio::create_task(asyncio::yield_now());
                    let outer = asyncio::create_task(async move {
                        inner.await;
                        asyncio::yield_now().await;
                    });
                    let handle = outer.handle();
                    let racing = asyncio::create_task(async move { handle.cancel() });
                    let outcome = outer.outcome().await;
                    let requested = racing.await;
                    assert!(outcome.is_ok() || requested);
                }
            })
            .unwrap();
    }
}

#[test]
fn shields_and_gathers_nest() {
    everywhere(async || {
        // gather inside of shield: nothing inside is reached.
        let children = [(); 3].map(|()| asyncio::create_task(asyncio::sleep_with(millis(50), 1)).shared());
        let gather = asyncio::gather(children.clone());
        let task = asyncio::create_task(async { asyncio::shield(gather).await });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
        assert!(children.iter().all(|child| child.cancelling() == 0));
        for child in children {
            assert_eq!(child.await, 1);
        }

        // shield inside of gather: the other children are cancelled.
        let kept = asyncio::create_task(asyncio::sleep_with(millis(50), "kept")).shared();
        let cancelled = asyncio::create_task(asyncio::sleep_with(millis(50), "cancelled")).shared();
        let (a, b) = (kept.clone(), cancelled.clone());
        let task = asyncio::create_task(async { asyncio::gather!(asyncio::shield(a), b).await });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
        cancelled.wait_end().await;
        assert!(cancelled.cancelled());
        assert_eq!(kept.await, "kept");

        // gather inside of gather: everything is cancelled.
        let leaves: Vec<_> = (0..4).map(|_| asyncio::create_task(pending::<()>()).shared()).collect();
        let pairs: Vec<_> = leaves.chunks(2).map(|pair| asyncio::gather(pair.to_vec())).collect();
        let task = asyncio::create_task(asyncio::gather(pairs));
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
        for leaf in leaves {
            leaf.wait_end().await;
            assert!(leaf.cancelled());
        }
    });
}

#[test]
fn a_child_that_somebody_cancels_raises_in_the_gather_and_spares_the_others() {
    everywhere(async || {
        let gone = asyncio::create_task(pending::<()>()).shared();
        let other = asyncio::create_task(asyncio::sleep(millis(50))).shared();
        let (a, b) = (gone.clone(), other.clone());
        let awaiter = asyncio::create_task(async move {
            let caught = catch_cancelled(asyncio::gather!(a, b)).await.is_err();
            (caught, asyncio::current_task().unwrap().cancelling())
        });
        settle().await;
        gone.cancel();
        assert_eq!(awaiter.await, (true, 0));
        assert!(!other.done());
        other.await;
    });
}

#[test]
fn a_cancelled_gather_raises_although_all_children_swallow_it() {
    everywhere(async || {
        let child = |label: &'static str| async move {
            let _swallowed = catch_cancelled(pending::<()>()).await;
            label
        };
        let task = asyncio::create_task(async move { asyncio::gather!(child("a"), child("b")).await });
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
    });
}

#[test]
fn try_gather_gives_the_first_error_and_lets_the_others_run() {
    everywhere(async || {
        let slow = asyncio::create_task(asyncio::sleep_with(millis(50), Ok::<_, &str>("slow"))).shared();
        let error = asyncio::try_gather!(
            slow.clone(),
            asyncio::sleep_with(millis(10), Err::<&str, _>("first")),
            asyncio::sleep_with(millis(20), Err::<&str, _>("second")),
        )
        .await;
        assert_eq!(error, Err("first"));
        assert!(!slow.done());
        assert_eq!(slow.await, Ok("slow"));
        let all = asyncio::try_gather([1, 2, 3].map(|n| async move { Ok::<_, ()>(n) })).await;
        assert_eq!(all, Ok([1, 2, 3]));
    });
}

#[test]
fn a_dropped_gather_leaves_its_children_running() {
    everywhere(async || {
        let child = asyncio::create_task(asyncio::sleep_with(millis(10), "ran")).shared();
        drop(asyncio::gather([child.clone()]));
        assert_eq!(child.await, "ran");
    });
}

#[test]
fn a_gather_that_was_given_away_is_not_cancelled_with_who_awaited_it() {
    on(Flavour::CurrentThread, async {
        let child = asyncio::create_task(asyncio::sleep(secs(1)));
        let runs = child.handle();
        let mut gather = Some(asyncio::gather([child]));
        let (give, taken) = mpsc::channel();
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let own = waker.clone();
        // Who gave it away waits for something else, and goes on when it is woken.
        let first = asyncio::create_task(poll_fn(move |cx| {
            let Some(mut gather) = gather.take() else { return Poll::Ready(()) };
            assert!(Pin::new(&mut gather).poll(cx).is_pending());
            give.send(gather).unwrap();
            *own.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
        settle().await;
        let second = asyncio::create_task(taken.recv().unwrap());
        settle().await;
        first.cancel();
        waker.lock().unwrap().take().unwrap().wake();
        settle().await;
        assert!(first.cancelled() && !runs.done());
        second.await;
    });
}

#[test]
fn a_request_is_not_lost_at_a_gather_that_is_about_to_be_told() {
    on(Flavour::CurrentThread, async {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let child = asyncio::create_task(async move {
            while !ends.load(Relaxed) {
                asyncio::yield_now().await;
            }
        });
        let task = asyncio::create_task(async move {
            // It awaits two things, so the request comes by polling: when the child has ended, and before the gather is told.
            join!(asyncio::gather([child]), asyncio::sleep(secs(1)))
        });
        asyncio::yield_now().await;
        asyncio::yield_now().await;
        over.store(true, Relaxed);
        task.cancel();
        settle().await;
        assert!(task.cancelled());
    });
}

#[test]
fn a_foreign_leaf_that_is_ready_goes_on_to_the_next_suspension() {
    on(Flavour::CurrentThread, async {
        let ready = Arc::new(AtomicBool::new(false));
        let flag = ready.clone();
        let foreign = poll_fn(move |_| if flag.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending });
        let passed = Arc::new(AtomicBool::new(false));
        let seen = passed.clone();
        let task = asyncio::create_task(async move {
            foreign.await;
            seen.store(true, Relaxed);
            asyncio::sleep(secs(1)).await;
            unreachable!("the sleep is where the cancellation arrives");
        });
        settle().await;
        ready.store(true, Relaxed);
        task.cancel();
        assert_cancelled(task).await;
        assert!(passed.load(Relaxed));
    });
}

#[test]
fn what_is_done_already_gives_its_value_while_a_request_is_delivered() {
    everywhere(async || {
        let done = asyncio::create_task(async { 7 });
        settle().await;
        let (ready, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (flag, given) = (ready.clone(), seen.clone());
        let foreign = poll_fn(move |_| if flag.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending });
        let task = asyncio::create_task(async move {
            foreign.await;
            given.store(done.await, Relaxed);
            asyncio::sleep(secs(1)).await;
        });
        settle().await;
        ready.store(true, Relaxed);
        task.cancel();
        assert_cancelled(task).await;
        assert_eq!(seen.load(Relaxed), 7);
    });
}

#[test]
fn a_cancelled_sleep_leaves_no_timer() {
    everywhere(async || {
        let start = asyncio::Instant::now();
        let task = asyncio::create_task(asyncio::sleep(secs(3600)));
        settle().await;
        task.cancel();
        assert_cancelled(task).await;
        // The mock clock goes to the next deadline, and that is not the cancelled one's.
        asyncio::sleep(secs(7200)).await;
        assert_eq!(asyncio::get_running_loop().time() - start, secs(7200) + millis(1));
    });
}

#[test]
fn destructors_run_as_part_of_the_cancelled_task() {
    struct WhoAmI(Arc<Mutex<Option<asyncio::TaskHandle>>>);
    impl Drop for WhoAmI {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = asyncio::current_task();
        }
    }
    everywhere(async || {
        let seen = Arc::new(Mutex::new(None));
        let guard = WhoAmI(seen.clone());
        let task = asyncio::create_task(async move {
            let _guard = guard;
            pending::<()>().await
        });
        settle().await;
        let handle = task.handle();
        task.cancel();
        assert_cancelled(task).await;
        assert_eq!(*seen.lock().unwrap(), Some(handle));
    });
}

#[test]
fn a_destructor_that_panics_is_the_tasks_panic() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("from a destructor"));
        }
    }
    everywhere(async || {
        let task = asyncio::create_task(async {
            let _guard = Panics;
            pending::<()>().await
        });
        settle().await;
        task.cancel();
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!() };
        assert_eq!(panic.message(), "from a destructor");
    });
}

/// A future given to `catch_cancelled` may be anything that can be awaited.
#[test]
fn a_task_is_caught_by_reference() {
    everywhere(async || {
        let task = asyncio::create_task(pending::<()>());
        settle().await;
        task.cancel();
        assert!(catch_cancelled(&task).await.is_err());
        assert!(task.cancelled());
        fn assert_future<F: Future>(_: &F) {}
        assert_future(&catch_cancelled(&asyncio::create_task(async {})));
    });
}

/// In asyncio the future of a task that has cancelled itself is cancelled as soon as the task awaits it: a semaphore passes over it.
#[test]
fn a_request_to_itself_counts_in_the_queue_that_the_task_then_waits_in() {
    on(Flavour::CurrentThread, async {
        let (events, semaphore) = (Events::default(), Arc::new(asyncio::Semaphore::new(0)));
        let cancelled = asyncio::create_task({
            let semaphore = semaphore.clone();
            async move {
                asyncio::current_task().unwrap().cancel();
                semaphore.acquire().await.forget();
            }
        });
        let waits = asyncio::create_task({
            let (events, semaphore) = (events.clone(), semaphore.clone());
            async move {
                semaphore.acquire().await.forget();
                events.note("acquired");
            }
        });
        let releases = asyncio::create_task({
            let events = events.clone();
            async move {
                semaphore.release();
                asyncio::yield_now().await;
                events.note("a pass later");
            }
        });
        asyncio::gather((waits, releases)).await;
        assert!(cancelled.cancelled());
        assert_eq!(events.take(), ["acquired", "a pass later"]);
    });
}
