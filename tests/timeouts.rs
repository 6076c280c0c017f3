//! `timeout`, `timeout_at` and `wait_for`. (The traces of CPython are in `conformance/`.)

mod support;

use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, select};
use kumihimo as asyncio;
use kumihimo::{
    Instant, Timeout, TimeoutError, catch_cancelled, current_task, finally, timeout, timeout_at, wait_for,
};
use support::{Flavour, everywhere, millis, on, secs};

fn cancelling() -> usize {
    current_task().unwrap().cancelling()
}

/// Waits for a cancellation, and swallows it.
async fn until_cancelled() {
    let _swallowed = catch_cancelled(pending::<()>()).await.unwrap_err();
}

/// Lets so many passes go by.
async fn passes(count: usize) {
    for _ in 0..count {
        asyncio::yield_now().await;
    }
}

#[test]
fn in_time_the_value_comes_and_the_deadline_is_disarmed() {
    everywhere(|| async {
        let start = Instant::now();
        let kept = timeout(secs(2), async |t| {
            assert_eq!(t.when(), Some(start + secs(2)));
            asyncio::sleep(secs(1)).await;
            t
        });
        let t = kept.await.unwrap();
        asyncio::sleep(secs(5)).await;
        assert!(!t.expired() && cancelling() == 0);
        assert_eq!(start.elapsed(), secs(6));
    });
}

#[test]
fn too_late_it_is_an_error_and_the_task_is_as_before() {
    everywhere(|| async {
        let start = Instant::now();
        let mut kept = None;
        let late = timeout(secs(1), async |t| {
            kept = Some(t.clone());
            assert!(!t.expired());
            let error = catch_cancelled(pending::<()>()).await.unwrap_err();
            assert!(t.expired() && cancelling() == 1);
            error.raise().await
        });
        assert_eq!(late.await, Err::<(), _>(TimeoutError));
        assert_eq!((start.elapsed(), cancelling()), (secs(1), 0));
        assert!(kept.unwrap().expired());
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn none_is_no_limit() {
    everywhere(|| async {
        let value = timeout(None, async |t| {
            assert_eq!(t.when(), None);
            asyncio::sleep(secs(1_000_000)).await;
            1
        });
        assert_eq!(value.await, Ok(1));
        assert_eq!(timeout_at(None, async |_| 2).await, Ok(2));
        assert_eq!(
            timeout(std::time::Duration::MAX, async |_| asyncio::sleep_with(secs(1), 3).await).await,
            Ok(3)
        );
        assert_eq!(wait_for(asyncio::sleep_with(secs(1), 4), None).await, Ok(4));
    });
}

#[test]
fn without_time_a_block_that_never_suspends_returns() {
    everywhere(|| async {
        assert_eq!(timeout(secs(0), async |_| 1).await, Ok(1));
        assert_eq!(timeout(secs(0), async |_| asyncio::yield_now().await).await, Err(TimeoutError));
        assert_eq!(timeout(secs(0), async |_| pending::<()>().await).await, Err(TimeoutError));
        assert_eq!(timeout_at(Instant::now(), async |_| pending::<()>().await).await, Err(TimeoutError));
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn the_deadline_is_moved_later_earlier_and_away() {
    everywhere(|| async {
        let start = Instant::now();
        let later = timeout(secs(1), async |t| {
            t.reschedule(start + secs(10));
            asyncio::sleep(secs(2)).await;
        });
        assert_eq!(later.await, Ok(()));
        let earlier = timeout(secs(1000), async |t| {
            t.reschedule(Instant::now() + secs(1));
            pending::<()>().await;
        });
        assert_eq!((earlier.await, start.elapsed()), (Err(TimeoutError), secs(3)));
        let away = timeout(secs(1), async |t| {
            t.reschedule(None);
            asyncio::sleep(secs(7)).await;
            t.when()
        });
        assert_eq!((away.await, start.elapsed()), (Ok(None), secs(10)));
        let past = timeout(None, async |t| {
            t.reschedule(start);
            pending::<()>().await;
        });
        assert_eq!((past.await, start.elapsed()), (Err(TimeoutError), secs(10)));
    });
}

#[test]
fn a_deadline_that_was_moved_takes_its_new_turn() {
    on(Flavour::CurrentThread, async {
        let mut seen = None;
        let late = timeout(secs(0), async |t| {
            let looking = t.clone();
            seen = Some(asyncio::create_task(async move { looking.expired() }));
            // It was in line before the task; now it is behind.
            t.reschedule(Instant::now());
            pending::<()>().await;
        });
        assert_eq!(late.await, Err(TimeoutError));
        assert!(!seen.unwrap().await);
    });
}

#[test]
fn another_task_may_move_the_deadline() {
    everywhere(|| async {
        let start = Instant::now();
        let value = timeout(secs(1), async |t| {
            let mover = asyncio::create_task(async move { t.reschedule(start + secs(5)) });
            mover.await;
            asyncio::sleep(secs(3)).await;
        });
        assert_eq!(value.await, Ok(()));
    });
}

#[test]
fn a_deadline_that_has_struck_or_is_over_cannot_be_moved() {
    fn text(t: &Timeout) -> String {
        let t = t.clone();
        support::panic_message(move || t.reschedule(None))
    }
    everywhere(|| async {
        let t = timeout(secs(1), async |t| t).await.unwrap();
        assert!(text(&t).contains("is over"));
        let mut kept = None;
        let late = timeout(secs(1), async |t| {
            kept = Some(t.clone());
            until_cancelled().await;
            text(&t)
        });
        assert!(late.await.unwrap().contains("has expired"));
        assert!(text(&kept.unwrap()).contains("has expired"));
    });
}

#[test]
fn the_inner_deadline_first() {
    everywhere(|| async {
        let outer = timeout(secs(3), async |outer| {
            let inner = timeout(secs(1), async |_| pending::<()>().await).await;
            assert_eq!((inner, cancelling()), (Err(TimeoutError), 0));
            asyncio::sleep(secs(1)).await;
            outer.expired()
        });
        assert_eq!(outer.await, Ok(false));
    });
}

#[test]
fn the_outer_deadline_first() {
    everywhere(|| async {
        let mut inner = None;
        let outer = timeout(secs(1), async |_| {
            let inside = timeout(secs(3), async |t| {
                inner = Some(t);
                pending::<()>().await;
            });
            catch_cancelled(inside).await.unwrap_err().raise().await
        });
        assert_eq!(outer.await, Err::<(), _>(TimeoutError));
        assert!(!inner.unwrap().expired() && cancelling() == 0);
    });
}

#[test]
fn both_deadlines_at_once() {
    everywhere(|| async {
        for (outer, inner) in [(2, 1), (1, 2), (1, 1)] {
            let start = Instant::now();
            let mut kept = None;
            let late = timeout_at(start + secs(outer), async |_| {
                let inside = timeout_at(start + secs(inner), async |t| {
                    kept = Some(t);
                    // Both pass during one clean-up, which nobody interrupts.
                    let error = catch_cancelled(pending::<()>()).await.unwrap_err();
                    let _second = catch_cancelled(asyncio::sleep(secs(5))).await;
                    error.raise().await
                });
                inside.await
            });
            assert_eq!(late.await, Err::<Result<(), _>, _>(TimeoutError), "{outer}, {inner}");
            assert!(kept.unwrap().expired() && cancelling() == 0);
        }
    });
}

#[test]
fn a_cancellation_from_outside_is_no_timeout() {
    everywhere(|| async {
        let task = asyncio::create_task(timeout(secs(5), async |_| pending::<()>().await));
        asyncio::sleep(secs(1)).await;
        task.cancel_with("stop");
        task.wait_end().await;
        assert!(task.cancelled());
    });
}

#[test]
fn a_cancellation_from_outside_wins_over_the_deadline() {
    everywhere(|| async {
        let task = asyncio::create_task(async {
            let work = timeout(secs(1), async |_| finally(pending::<()>(), asyncio::sleep(secs(3))).await);
            let error = catch_cancelled(work).await.unwrap_err();
            assert_eq!(cancelling(), 1);
            error.raise().await
        });
        asyncio::sleep(secs(2)).await;
        task.cancel();
        task.wait_end().await;
        assert!(task.cancelled());
    });
}

#[test]
fn a_block_that_swallows_gives_its_value() {
    everywhere(|| async {
        let value = timeout(secs(1), async |t| {
            until_cancelled().await;
            // One deadline strikes once, however long this takes.
            asyncio::sleep(secs(100)).await;
            t
        });
        assert!(value.await.unwrap().expired() && cancelling() == 0);
    });
}

#[test]
fn an_earlier_cancellation_that_was_swallowed_does_not_matter() {
    everywhere(|| async {
        let task = asyncio::create_task(async {
            until_cancelled().await;
            let late = timeout(secs(1), async |_| pending::<()>().await).await;
            (late, cancelling())
        });
        passes(3).await;
        asyncio::sleep(secs(1)).await;
        task.cancel();
        assert_eq!(task.await, (Err(TimeoutError), 1));
    });
}

#[test]
fn a_timeout_in_a_clean_up_works() {
    everywhere(|| async {
        let ended = Arc::new(Mutex::new(None));
        let task = asyncio::create_task({
            let ended = ended.clone();
            finally(pending::<()>(), async move {
                *ended.lock().unwrap() = Some(timeout(secs(1), async |_| pending::<()>().await).await);
            })
        });
        asyncio::sleep(secs(1)).await;
        task.cancel();
        task.wait_end().await;
        assert_eq!(*ended.lock().unwrap(), Some(Err(TimeoutError)));
        assert!(task.cancelled());
    });
}

#[test]
fn a_panic_passes_and_takes_the_request_back() {
    everywhere(|| async {
        let late = timeout(secs(1), async |_| {
            until_cancelled().await;
            panic!("in the clean-up")
        });
        let caught: Result<Result<(), _>, _> = AssertUnwindSafe(late).catch_unwind().await;
        assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "in the clean-up");
        assert_eq!(cancelling(), 0);
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn awaited_tasks_are_cancelled_and_waited_for() {
    everywhere(|| async {
        let start = Instant::now();
        let task = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(2))));
        let handle = task.handle();
        let late = timeout(secs(1), async |_| task.await).await;
        assert_eq!((late, start.elapsed()), (Err(TimeoutError), secs(3)));
        assert!(handle.cancelled() && handle.cancelling() == 1);
        let both =
            timeout(secs(1), async |_| asyncio::gather((pending::<()>(), pending::<()>())).await).await;
        assert_eq!((both, cancelling()), (Err(TimeoutError), 0));
    });
}

#[test]
fn a_task_that_somebody_else_cancels_is_no_timeout() {
    everywhere(|| async {
        let task = asyncio::create_task(pending::<()>());
        let handle = task.handle();
        let killer = asyncio::create_task(async move {
            asyncio::sleep(secs(1)).await;
            handle.cancel()
        });
        assert!(catch_cancelled(wait_for(task, secs(5))).await.is_err());
        assert!(killer.await && cancelling() == 0);
    });
}

#[test]
fn one_of_several_branches_is_hit_alone() {
    everywhere(|| async {
        let short = timeout(secs(1), async |_| pending::<()>().await);
        let long = timeout(secs(3), async |_| asyncio::sleep_with(secs(2), "long").await);
        assert_eq!(futures_util::join!(short, long), (Err(TimeoutError), Ok("long")));
        let mut all: FuturesUnordered<_> =
            (1..=100)
                .map(|n| async move {
                    (n, timeout(secs(n), async |_| asyncio::sleep(millis(50_500)).await).await)
                })
                .collect();
        let mut late = 0;
        while let Some((n, result)) = all.next().await {
            assert_eq!(result.is_err(), n <= 50, "{n}");
            late += usize::from(result.is_err());
        }
        assert_eq!((late, cancelling()), (50, 0));
    });
}

#[test]
fn one_that_is_dropped_while_it_cancels_owes_nothing() {
    everywhere(|| async {
        for _ in 0..2 {
            let stubborn = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(3))));
            let mut late = pin!(timeout(secs(1), async |_| stubborn.await).fuse());
            let mut other = pin!(asyncio::sleep(secs(2)).fuse());
            select! {
                _ = late => unreachable!(),
                () = other => {}
            }
            // Here the time-out is dropped with a request passed on and not answered.
        }
        asyncio::sleep(secs(2)).await;
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn dropped_unfinished_it_disarms_the_deadline() {
    everywhere(|| async {
        let mut late = Box::pin(timeout(secs(1), async |_| pending::<()>().await));
        assert!(poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx).is_pending())).await);
        drop(late);
        asyncio::sleep(secs(5)).await;
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn the_time_runs_from_the_first_poll() {
    everywhere(|| async {
        let work = timeout(secs(2), async |_| asyncio::sleep(secs(1)).await);
        asyncio::sleep(secs(10)).await;
        assert_eq!(work.await, Ok(()));
    });
}

#[test]
fn blocks_may_borrow_and_tasks_that_hold_them_move() {
    everywhere(|| async {
        let mut local = String::from("a");
        timeout(secs(1), async |_| {
            asyncio::yield_now().await;
            local.push('b');
        })
        .await
        .unwrap();
        assert_eq!(wait_for(async { local.as_str() }, secs(1)).await, Ok("ab"));
        let task = asyncio::create_task(async {
            let text = String::from("text");
            let length = timeout(secs(1), async |t| {
                asyncio::sleep(millis(1)).await;
                (text.len(), t.expired())
            });
            length.await
        });
        assert_eq!(task.await, Ok((4, false)));
    });
}

#[test]
#[should_panic(expected = "timeout() outside of a task")]
fn outside_of_a_task() {
    let mut late = pin!(timeout(secs(1), async |_| ()));
    let _ = late.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
}

#[test]
fn no_pass_is_added_and_an_expiry_arrives_one_pass_later() {
    on(Flavour::CurrentThread, async {
        let passed = Arc::new(AtomicUsize::new(0));
        let counting = passed.clone();
        let _counter = asyncio::create_task(async move {
            loop {
                counting.fetch_add(1, Relaxed);
                asyncio::yield_now().await;
            }
        });
        passes(1).await;
        let before = passed.load(Relaxed);
        assert_eq!(timeout(secs(1), async |_| ()).await, Ok(()));
        assert_eq!(wait_for(async {}, secs(1)).await, Ok(()));
        assert_eq!(passed.load(Relaxed), before);
        // Due at once: called in the next pass, and the block sees it in the pass after that.
        assert_eq!(timeout(secs(0), async |_| pending::<()>().await).await, Err(TimeoutError));
        assert_eq!(passed.load(Relaxed), before + 2);
    });
}

#[test]
fn of_a_deadline_and_a_request_from_outside_the_first_has_the_say() {
    on(Flavour::CurrentThread, async {
        for outside_first in [true, false] {
            let task = asyncio::create_task(async {
                let caught = timeout(secs(1), async |_| {
                    let error = catch_cancelled(pending::<()>()).await.unwrap_err();
                    error.message().map(str::to_owned)
                });
                (caught.await.unwrap(), cancelling())
            });
            if !outside_first {
                passes(1).await;
            }
            let handle = task.handle();
            asyncio::get_running_loop().call_later(secs(1), move || _ = handle.cancel_with("outside"));
            assert_eq!(task.await, (outside_first.then(|| "outside".to_owned()), 1));
        }
    });
}

#[test]
fn a_deadline_does_not_hurry_a_gather_that_is_about_to_end() {
    on(Flavour::CurrentThread, async {
        let passed = Arc::new(AtomicUsize::new(0));
        let counting = passed.clone();
        let _counter = asyncio::create_task(async move {
            loop {
                counting.fetch_add(1, Relaxed);
                asyncio::yield_now().await;
            }
        });
        let gathered = asyncio::gather((async {},));
        assert_eq!(timeout(secs(0), async |_| gathered.await).await, Err(TimeoutError));
        // The child ends, and the deadline strikes; the child's end is told; and the block goes on.
        assert_eq!(passed.load(Relaxed), 3);
    });
}

#[test]
fn wait_for_gives_what_the_cancelled_future_comes_to() {
    async fn stubborn(value: Result<u32, &'static str>) -> Result<u32, &'static str> {
        until_cancelled().await;
        asyncio::sleep(secs(5)).await;
        value
    }
    everywhere(|| async {
        assert_eq!(wait_for(stubborn(Ok(1)), secs(1)).await, Ok(Ok(1)));
        assert_eq!(wait_for(stubborn(Err("no")), secs(1)).await, Ok(Err("no")));
        assert_eq!(wait_for(asyncio::create_task(stubborn(Ok(2))), secs(1)).await, Ok(Ok(2)));
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn wait_for_without_time() {
    everywhere(|| async {
        let polled = AtomicBool::new(false);
        let never = wait_for(async { polled.store(true, Relaxed) }, secs(0));
        assert_eq!((never.await, polled.load(Relaxed)), (Err(TimeoutError), false));

        let done = asyncio::create_task(async { "done" });
        done.wait_end().await;
        assert_eq!(wait_for(&done, secs(0)).await, Ok("done"));
        assert_eq!(wait_for(done, secs(0)).await, Ok("done"));

        let start = Instant::now();
        let task = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(3))));
        passes(3).await;
        asyncio::sleep(secs(1)).await;
        assert_eq!(wait_for(&task, secs(0)).await, Err(TimeoutError));
        assert_eq!((task.cancelled(), start.elapsed()), (true, secs(4)));
        // It is done now, and cancelled by somebody.
        assert!(catch_cancelled(wait_for(task, secs(0))).await.is_err());

        let swallows = asyncio::create_task(async {
            until_cancelled().await;
            "swallowed"
        });
        asyncio::sleep(secs(1)).await;
        assert_eq!(wait_for(swallows, secs(0)).await, Ok("swallowed"));
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn wait_for_without_time_can_be_cancelled_while_it_waits() {
    everywhere(|| async {
        let stubborn = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(9)))).shared();
        asyncio::sleep(secs(1)).await;
        let waiter = asyncio::create_task(wait_for(stubborn.clone(), secs(0)));
        asyncio::sleep(secs(1)).await;
        waiter.cancel();
        waiter.wait_end().await;
        assert!(waiter.cancelled() && !stubborn.done());
        stubborn.wait_end().await;
    });
}

#[test]
fn cancelling_who_waits_cancels_what_is_waited_for() {
    everywhere(|| async {
        let work = asyncio::create_task(finally(pending::<()>(), asyncio::sleep(secs(2)))).shared();
        let waiter = asyncio::create_task(wait_for(work.clone(), secs(100)));
        asyncio::sleep(secs(1)).await;
        waiter.cancel();
        asyncio::sleep(secs(1)).await;
        assert!(!waiter.done() && !work.done());
        waiter.wait_end().await;
        assert!(waiter.cancelled() && work.cancelled());
    });
}

#[test]
fn a_shielded_task_outlives_the_timeout() {
    everywhere(|| async {
        let task = asyncio::create_task(asyncio::sleep_with(secs(5), "late"));
        assert_eq!(wait_for(asyncio::shield(&task), secs(1)).await, Err(TimeoutError));
        assert_eq!(task.await, "late");
    });
}

#[test]
fn a_result_is_not_lost_to_a_timeout_in_the_same_moment() {
    everywhere(|| async {
        let start = Instant::now();
        let task = asyncio::create_task(asyncio::sleep_with(secs(1), "value"));
        let handle = task.handle();
        // Either may be first; the task does not go on.
        if let Ok(value) = wait_for(task, secs(1)).await {
            assert_eq!(value, "value");
        }
        assert!(handle.done() && start.elapsed() == secs(1) && cancelling() == 0);
    });
}

/// Real time, real workers: expiry races with the end of the block, and what is awaited after it is never hit.
#[test]
fn expiry_and_end_race() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        let late = support::within_patience(flavour, || runner_races(runner));
        println!("{flavour}: {late} of {RACES} late");
    }
}

const RACES: usize = 400;

fn runner_races(runner: asyncio::Runner) -> usize {
    runner
        .run(async {
            let tasks: Vec<_> = (0..RACES)
                .map(|n| {
                    asyncio::create_task(async move {
                        let end = Instant::now() + millis(20);
                        let wait = millis(5) + std::time::Duration::from_nanos((n as u64 % 16) * 3_000);
                        let mut late = false;
                        while Instant::now() < end {
                            let ended = timeout(wait, async |_| asyncio::sleep(millis(5)).await).await;
                            late |= ended.is_err();
                            assert_eq!(cancelling(), 0);
                            assert!(catch_cancelled(asyncio::yield_now()).await.is_ok());
                        }
                        late
                    })
                })
                .collect();
            let mut late = 0;
            for task in tasks {
                late += usize::from(task.await);
            }
            late
        })
        .unwrap()
}

/// A future that is ready when it is polled with a cancellation on its way.
struct Polls(usize);

impl Future for Polls {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0 -= 1;
        cx.waker().wake_by_ref();
        if self.0 == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn foreign_futures_are_cancelled_at_their_next_suspension() {
    everywhere(|| async {
        // Ready in the very poll that would cancel it: the code goes on to its next suspension.
        let ended = timeout(secs(0), async |_| {
            Polls(2).await;
            Polls(3).await;
        });
        assert_eq!(ended.await, Err(TimeoutError));
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn a_block_that_ends_as_the_deadline_strikes_leaves_nothing_behind() {
    everywhere(async || {
        let mut polls = 0;
        // It is woken by the deadline, and ready then.
        let foreign = poll_fn(|_| {
            polls += 1;
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert!(timeout(millis(5), async |_| foreign.await).await.is_ok());
        assert!(catch_cancelled(asyncio::sleep(millis(1))).await.is_ok());
    });
}

#[test]
fn a_deadline_that_was_taken_back_before_the_next_step_does_not_strike() {
    on(Flavour::CurrentThread, async {
        let this = current_task().unwrap();
        let block = async |_| {
            // It runs behind the deadline, which has passed, and before the block goes on.
            let taking_back = asyncio::create_task(async move { this.uncancel() });
            asyncio::yield_now().await;
            taking_back.await
        };
        assert_eq!(timeout(millis(0), block).await, Ok(0));
    });
}
