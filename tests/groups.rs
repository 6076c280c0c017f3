//! `task_group` and `ExceptionGroup`. (The traces of CPython are in `conformance/`.)

// Tasks are handed out of a group on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]
// Blocks read as in programs: `Ok(task.await)`.
#![allow(clippy::unit_arg)]

mod support;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::{FutureExt, select};
use kumihimo as asyncio;
use kumihimo::{
    ExceptionGroup, Instant, ResultError, TaskError, TaskGroup, TimeoutError, catch_cancelled, current_task,
    finally, task, task_group, timeout,
};
use support::{Flavour, everywhere, on, secs};

type Failed = &'static str;

fn cancelling() -> usize {
    current_task().unwrap().cancelling()
}

/// The errors of a group that has failed.
fn group_of<E>(ended: Result<(), ExceptionGroup<E>>) -> ExceptionGroup<E> {
    ended.map_or_else(|group| group, |()| panic!("no error"))
}

/// Waits for a cancellation, and swallows it.
async fn until_cancelled() {
    let _swallowed = catch_cancelled(pending::<()>()).await.unwrap_err();
}

async fn fail_after(seconds: u64, error: Failed) -> Result<(), Failed> {
    asyncio::sleep(secs(seconds)).await;
    Err(error)
}

/// Is there until it is cancelled; then takes its time, and gives its error.
async fn fails_in_clean_up(seconds: u64, error: Failed) -> Result<(), Failed> {
    until_cancelled().await;
    fail_after(seconds, error).await
}

async fn for_ever() -> Result<(), Failed> {
    pending().await
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<&'static str>>>);

impl Events {
    fn note(&self, event: &'static str) {
        self.0.lock().unwrap().push(event);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Is there until it is cancelled; then cleans up.
    async fn waits(self, seconds: u64, name: &'static str) -> Result<(), Failed> {
        finally(pending::<()>(), async {
            asyncio::sleep(secs(seconds)).await;
            self.note(name);
        })
        .await;
        Ok(())
    }
}

#[test]
fn it_waits_for_all_and_gives_the_blocks_value() {
    everywhere(|| async {
        let start = Instant::now();
        let ended = task_group(async |tg: TaskGroup<Failed>| {
            let a = tg.create_task(async { Ok(asyncio::sleep_with(secs(1), "a").await) });
            let b = tg.create_task(async { Ok(asyncio::sleep_with(secs(3), "b").await) });
            assert_eq!(a.await, "a");
            Ok(b)
        });
        let b = ended.await.unwrap();
        assert_eq!(start.elapsed(), secs(3));
        assert_eq!(b.try_result().unwrap(), "b");
    });
}

#[test]
fn tasks_may_create_tasks_also_when_the_block_has_ended() {
    fn nest(tg: TaskGroup<Failed>, left: usize, count: Arc<AtomicUsize>) {
        let inner = tg.clone();
        let _task = tg.create_task(async move {
            asyncio::sleep(secs(1)).await;
            count.fetch_add(1, Relaxed);
            if left > 0 {
                nest(inner, left - 1, count);
            }
            Ok(())
        });
    }
    everywhere(|| async {
        let (start, count) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        task_group(async |tg| {
            nest(tg, 4, count.clone());
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!((count.load(Relaxed), start.elapsed()), (5, secs(5)));
    });
}

#[test]
fn a_failure_cancels_siblings_and_the_block_and_all_are_waited_for() {
    everywhere(|| async {
        let (start, events) = (Instant::now(), Events::default());
        let failed = task_group(async |tg| {
            let _slow = tg.create_task(events.clone().waits(4, "slow"));
            let _fast = tg.create_task(events.clone().waits(2, "fast"));
            let _bad = tg.create_task(fail_after(1, "bad"));
            let error = catch_cancelled(pending::<()>()).await.unwrap_err();
            assert_eq!(cancelling(), 1);
            events.note("block");
            error.raise().await
        });
        let group = group_of(failed.await);
        assert_eq!(group.exceptions(), ["bad"]);
        assert_eq!(events.take(), ["block", "fast", "slow"]);
        assert_eq!((start.elapsed(), cancelling()), (secs(5), 0));
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn errors_come_in_the_order_of_ending_the_blocks_own_last() {
    everywhere(|| async {
        let failed = task_group(async |tg| {
            let _slow = tg.create_task(fails_in_clean_up(3, "slow"));
            let _fast = tg.create_task(fails_in_clean_up(1, "fast"));
            asyncio::sleep(secs(1)).await;
            Err::<(), _>("block")
        });
        assert_eq!(failed.await.unwrap_err().exceptions(), ["fast", "slow", "block"]);
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn a_task_that_is_cancelled_by_itself_is_no_failure() {
    everywhere(|| async {
        let start = Instant::now();
        let ended = task_group(async |tg: TaskGroup<Failed>| {
            let victim = tg.create_task(for_ever());
            let _other = tg.create_task(async { Ok(asyncio::sleep(secs(3)).await) });
            asyncio::sleep(secs(1)).await;
            victim.cancel();
            Ok(1)
        });
        assert_eq!(ended.await, Ok(1));
        assert_eq!(start.elapsed(), secs(3));
    });
}

#[test]
fn who_awaits_a_failed_task_is_cancelled() {
    everywhere(|| async {
        let (inside, outside) = (Events::default(), Arc::new(Mutex::new(None)));
        let failed = task_group(async |tg| {
            let bad = tg.create_task(fail_after(1, "bad")).shared();
            let watch = bad.clone();
            *outside.lock().unwrap() =
                Some(asyncio::create_task(async move { watch.outcome().await.unwrap_err() }));
            let error = catch_cancelled(bad).await.unwrap_err();
            inside.note("cancelled");
            error.raise().await
        });
        assert_eq!(group_of(failed.await).exceptions(), ["bad"]);
        assert_eq!((inside.take(), cancelling()), (vec!["cancelled"], 0));
        let outside = outside.lock().unwrap().take().unwrap();
        assert!(matches!(outside.await, TaskError::Cancelled(_)));
    });
}

#[test]
fn a_block_that_swallows_gives_the_errors_all_the_same() {
    everywhere(|| async {
        let failed = task_group(async |tg| {
            let _bad = tg.create_task(fail_after(1, "bad"));
            let _error = catch_cancelled(pending::<()>()).await.unwrap_err();
            Ok("swallowed")
        });
        assert_eq!(failed.await.unwrap_err().exceptions(), ["bad"]);
        assert_eq!(cancelling(), 0);
    });
}

#[test]
fn a_cancelled_parent_cancels_all_and_waits() {
    everywhere(|| async {
        for in_the_block in [true, false] {
            let (start, events) = (Instant::now(), Events::default());
            let noting = events.clone();
            let parent = asyncio::create_task(async move {
                let group = task_group(async |tg: TaskGroup<Failed>| {
                    let _one = tg.create_task(noting.clone().waits(5, "one"));
                    let _two = tg.create_task(noting.clone().waits(3, "two"));
                    if in_the_block {
                        pending::<()>().await;
                    }
                    Ok(())
                });
                let error = catch_cancelled(group).await.unwrap_err();
                assert_eq!((error.message(), cancelling()), (Some("stop"), 3));
                error.raise().await
            });
            asyncio::sleep(secs(1)).await;
            parent.cancel_with("stop");
            for _ in 0..2 {
                asyncio::sleep(secs(1)).await;
                assert!(parent.cancel_with("again"));
            }
            parent.wait_end().await;
            assert!(parent.cancelled());
            assert_eq!((events.take(), start.elapsed()), (vec!["two", "one"], secs(6)));
        }
    });
}

#[test]
fn errors_win_over_a_cancellation_which_stays_due() {
    everywhere(|| async {
        let parent = asyncio::create_task(async {
            let group = task_group(async |tg| {
                let _one = tg.create_task(fails_in_clean_up(1, "one"));
                Ok(())
            });
            assert_eq!(group.await.unwrap_err().exceptions(), ["one"]);
            assert_eq!(cancelling(), 1);
            assert!(catch_cancelled(asyncio::sleep(secs(1))).await.is_err());
            catch_cancelled(asyncio::sleep(secs(1))).await.unwrap();
        });
        asyncio::sleep(secs(1)).await;
        parent.cancel();
        parent.await;
    });
}

#[test]
fn a_cancellation_that_was_swallowed_before_comes_back() {
    everywhere(|| async {
        let task = asyncio::create_task(async {
            until_cancelled().await;
            let group = task_group(async |tg| Ok(tg.create_task(fail_after(1, "bad")).await));
            group.await.unwrap_err();
            assert!(catch_cancelled(asyncio::sleep(secs(1))).await.is_err());
            cancelling()
        });
        asyncio::sleep(secs(1)).await;
        task.cancel();
        assert_eq!(task.await, 1);
    });
}

#[test]
fn no_task_begins_once_it_shuts_down() {
    struct Dropped(Arc<AtomicUsize>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    async fn child(_dropped: Dropped) -> Result<(), Failed> {
        unreachable!("a task began in a group that shuts down")
    }

    for flavour in Flavour::ALL {
        on(flavour, async {
            let dropped = Arc::new(AtomicUsize::new(0));
            let failed = task_group(async |tg| {
                let _bad = tg.create_task(fail_after(1, "bad"));
                let error = catch_cancelled(pending::<()>()).await.unwrap_err();
                let late = child(Dropped(dropped.clone()));
                if flavour == Flavour::CurrentThread {
                    let text = support::panic_message(|| drop(tg.create_task(late)));
                    assert!(text.contains("shutting down"), "{text}");
                } else {
                    let late = tg.create_task(late);
                    assert!(matches!(late.outcome().await, Err(TaskError::Cancelled(_))));
                }
                assert_eq!(dropped.load(Relaxed), 1);
                error.raise().await
            });
            assert_eq!(group_of(failed.await).exceptions(), ["bad"]);

            let tg = task_group(async |tg| Ok::<_, Failed>(tg)).await.unwrap();
            let text = support::panic_message(|| drop(tg.create_task(child(Dropped(dropped.clone())))));
            assert!(text.contains("is over"), "{text}");
            assert_eq!(dropped.load(Relaxed), 2);
        });
    }
}

#[test]
fn a_panic_of_a_task_goes_on_in_the_parent() {
    everywhere(|| async {
        let (start, events) = (Instant::now(), Events::default());
        let group = task_group(async |tg| {
            let _other = tg.create_task(events.clone().waits(2, "other"));
            let _fails = tg.create_task(fails_in_clean_up(1, "error"));
            let _bad = tg.create_task(async {
                asyncio::sleep(secs(1)).await;
                std::panic::panic_any(42_u8);
                #[expect(unreachable_code)]
                Ok(())
            });
            pending::<()>().await;
            Ok(())
        });
        let payload = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(*payload.downcast::<u8>().unwrap(), 42);
        assert_eq!((events.take(), start.elapsed(), cancelling()), (vec!["other"], secs(3), 0));
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn a_panic_of_the_block_waits_for_the_tasks() {
    everywhere(|| async {
        let events = Events::default();
        let group = task_group(async |tg: TaskGroup<Failed>| {
            let _other = tg.create_task(events.clone().waits(2, "other"));
            asyncio::sleep(secs(1)).await;
            panic!("block");
            #[expect(unreachable_code)]
            Ok(())
        });
        let payload = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "block");
        assert_eq!((events.take(), cancelling()), (vec!["other"], 0));
    });
}

#[test]
fn who_awaits_a_task_that_panicked_hears_what_it_said() {
    everywhere(|| async {
        let mut watcher = None;
        let group = task_group(async |tg: TaskGroup<Failed>| {
            let bad = tg.create_task(async {
                asyncio::sleep(secs(1)).await;
                let number = 7;
                panic!("number {number}");
                #[expect(unreachable_code)]
                Ok(())
            });
            watcher = Some(asyncio::create_task(bad.outcome()));
            Ok(())
        });
        let payload = AssertUnwindSafe(group).catch_unwind().await.unwrap_err();
        assert_eq!(*payload.downcast::<String>().unwrap(), "number 7");
        let Err(TaskError::Panicked(panic)) = watcher.unwrap().await else { unreachable!() };
        assert_eq!(panic.message(), "number 7");
    });
}

#[test]
fn a_task_that_the_block_awaits_cleans_up_undisturbed() {
    everywhere(|| async {
        for together in [false, true] {
            let (start, events) = (Instant::now(), Events::default());
            let failed = task_group(async |tg| {
                let awaited = tg.create_task(events.clone().waits(3, "cleaned up"));
                let other = tg.create_task(events.clone().waits(2, "other"));
                let _bad = tg.create_task(fail_after(1, "bad"));
                if together {
                    asyncio::gather((awaited, other)).await;
                } else {
                    awaited.await;
                }
                Ok(())
            });
            assert_eq!(failed.await.unwrap_err().exceptions(), ["bad"]);
            assert_eq!((events.take(), start.elapsed()), (vec!["other", "cleaned up"], secs(4)));
            assert_eq!(cancelling(), 0);
        }
    });
}

#[test]
fn a_request_from_outside_cuts_the_clean_up_short_all_the_same() {
    everywhere(|| async {
        let (start, events) = (Instant::now(), Events::default());
        let failed = task_group(async |tg| {
            let awaited = tg.create_task(events.clone().waits(9, "cleaned up"));
            let handle = awaited.handle();
            let _killer = asyncio::create_task(async move {
                asyncio::sleep(secs(2)).await;
                handle.cancel()
            });
            let _bad = tg.create_task(fail_after(1, "bad"));
            Ok(awaited.await)
        });
        assert_eq!(failed.await.unwrap_err().exceptions(), ["bad"]);
        assert_eq!((events.take(), start.elapsed()), (vec![], secs(2)));
    });
}

#[test]
fn a_task_that_fails_eagerly() {
    everywhere(|| async {
        let mut handle = None;
        let failed = task_group(async |tg| {
            let other = tg.create_task(for_ever());
            let eager = task::Builder::new().eager(true);
            let bad = tg.create_task_with(eager.clone(), async { Err::<(), _>("eager") });
            assert!(bad.done() && cancelling() == 1);
            assert!(matches!(bad.try_result(), Err(ResultError::Task(TaskError::Cancelled(_)))));
            handle = Some(other.handle());
            // The block is cancelled at its next suspension.
            asyncio::yield_now().await;
            unreachable!("the block goes on")
        });
        let group: Result<(), _> = failed.await;
        assert_eq!(group.unwrap_err().exceptions(), ["eager"]);
        assert!(handle.unwrap().cancelled() && cancelling() == 0);
    });
}

#[test]
fn eager_tasks_that_succeed_leave_nothing_to_wait_for() {
    everywhere(|| async {
        let sum = task_group(async |tg: TaskGroup<Failed>| {
            let eager = task::Builder::new().eager(true);
            let tasks: Vec<_> =
                (0..10).map(|n| tg.create_task_with(eager.clone(), async move { Ok(n) })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await;
            }
            Ok(sum)
        });
        assert_eq!(sum.await, Ok(45));
    });
}

#[test]
fn settings_of_tasks() {
    everywhere(|| async {
        let names = task_group(async |tg: TaskGroup<Failed>| {
            let named = task::Builder::new().name("named");
            let task = tg.create_task_with(named, async { Ok(current_task().unwrap().name()) });
            Ok((task.name(), task.await))
        });
        assert_eq!(names.await, Ok(("named".into(), "named".into())));
    });
}

/// An error that may be a group: how programs nest them.
#[derive(Debug, PartialEq)]
enum Error {
    Plain(Failed),
    Group(ExceptionGroup<Error>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Plain(text) => f.write_str(text),
            Error::Group(group) => group.fmt(f),
        }
    }
}

impl From<ExceptionGroup<Error>> for Error {
    fn from(group: ExceptionGroup<Error>) -> Error {
        Error::Group(group)
    }
}

async fn plain(seconds: u64, text: Failed) -> Result<(), Error> {
    asyncio::sleep(secs(seconds)).await;
    Err(Error::Plain(text))
}

#[test]
fn groups_nest_and_so_do_their_errors() {
    everywhere(|| async {
        let mut outer_child = None;
        let failed = task_group(async |outer| {
            outer_child = Some(outer.create_task(pending::<Result<(), _>>()).handle());
            task_group(async |inner| Ok(inner.create_task(plain(1, "inner")).await)).await?;
            unreachable!("the error leaves the block")
        });
        let group = group_of(failed.await);
        let [Error::Group(inner)] = group.exceptions() else { panic!("{group}") };
        assert_eq!(inner.exceptions(), [Error::Plain("inner")]);
        assert!(outer_child.unwrap().cancelled());
        assert!(group.to_string().contains("\n| | inner\n"), "{group}");
    });
}

#[test]
fn a_failing_outer_group_cancels_the_inner_one() {
    everywhere(|| async {
        let failed = task_group(async |outer| {
            let _bad = outer.create_task(plain(1, "outer"));
            task_group(async |inner| Ok(inner.create_task(pending::<Result<(), _>>()).await)).await?;
            unreachable!("the block is cancelled")
        });
        let group = group_of(failed.await);
        assert_eq!((group.exceptions(), cancelling()), (&[Error::Plain("outer")][..], 0));
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn both_levels_fail_when_cancelled() {
    async fn fails(text: Failed) -> Result<(), Error> {
        until_cancelled().await;
        Err(Error::Plain(text))
    }
    everywhere(|| async {
        let parent = asyncio::create_task(async {
            let group = task_group(async |outer| {
                let _outer = outer.create_task(fails("outer"));
                task_group(async |inner| Ok(inner.create_task(fails("inner")).await)).await?;
                Ok(())
            });
            let group = group.await.unwrap_err();
            assert!(catch_cancelled(asyncio::sleep(secs(1))).await.is_err());
            group
        });
        asyncio::sleep(secs(1)).await;
        parent.cancel();
        let group = parent.await;
        let texts: Vec<_> = group.iter().map(|error| matches!(error, Error::Group(_))).collect();
        assert_eq!(texts, [false, true], "{group}");
    });
}

#[test]
fn a_timeout_around_a_group() {
    everywhere(|| async {
        let group =
            timeout(secs(1), async |_| task_group(async |tg| Ok(tg.create_task(for_ever()).await)).await);
        assert_eq!((group.await, cancelling()), (Err(TimeoutError), 0));
        let failing = timeout(secs(1), async |_| {
            let group = task_group(async |tg| {
                let _fails = tg.create_task(fails_in_clean_up(1, "clean-up"));
                Ok(())
            });
            group.await
        });
        assert_eq!(failing.await.unwrap().unwrap_err().exceptions(), ["clean-up"]);
        assert_eq!(cancelling(), 0);
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn dropped_by_other_code_it_cancels_its_tasks() {
    everywhere(|| async {
        let events = Events::default();
        let noting = events.clone();
        {
            let mut group = pin!(
                task_group(async |tg: TaskGroup<Failed>| {
                    let _task = tg.create_task(noting.waits(1, "cleaned up"));
                    pending::<()>().await;
                    Ok(())
                })
                .fuse()
            );
            let mut other = pin!(asyncio::sleep(secs(1)).fuse());
            select! {
                _ = group => unreachable!(),
                () = other => {}
            }
        }
        assert_eq!(events.take(), [""; 0]);
        asyncio::sleep(secs(2)).await;
        assert_eq!((events.take(), cancelling()), (vec!["cleaned up"], 0));
    });
}

#[test]
fn dropped_while_it_fails_it_takes_its_request_back() {
    everywhere(|| async {
        {
            let mut group = pin!(
                task_group(async |tg| {
                    let stubborn = tg.create_task(async {
                        finally(pending::<()>(), asyncio::sleep(secs(5))).await;
                        Ok(())
                    });
                    let _bad = tg.create_task(fail_after(1, "bad"));
                    Ok(stubborn.await)
                })
                .fuse()
            );
            let mut other = pin!(asyncio::sleep(secs(2)).fuse());
            select! {
                _ = group => unreachable!(),
                () = other => assert_eq!(cancelling(), 1),
            }
        }
        assert_eq!(cancelling(), 0);
        catch_cancelled(asyncio::sleep(secs(9))).await.unwrap();
    });
}

#[test]
fn an_empty_group_does_not_give_way() {
    everywhere(|| async {
        let mut group = pin!(task_group(async |_: TaskGroup<Failed>| Ok(1)));
        let polled = poll_fn(|cx| Poll::Ready(group.as_mut().poll(cx))).await;
        assert_eq!(polled, Poll::Ready(Ok(1)));
    });
}

#[test]
#[should_panic(expected = "task_group() outside of a task")]
fn outside_of_a_task() {
    let mut group = pin!(task_group(async |_: TaskGroup<Failed>| Ok(())));
    let _ = group.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
}

#[test]
#[should_panic(expected = "without a running event loop")]
fn tasks_need_a_loop_and_the_group_survives_a_refusal() {
    let runner = asyncio::Runner::builder().current_thread().start_paused(true).build();
    let text = runner.unwrap().run(async {
        let ended = task_group(async |tg: TaskGroup<Failed>| {
            let elsewhere =
                std::thread::spawn(move || support::panic_message(|| drop(tg.create_task(for_ever()))));
            Ok(elsewhere.join().unwrap())
        });
        ended.await.unwrap()
    });
    panic!("{}", text.unwrap());
}

#[test]
fn siblings_are_cancelled_in_order_of_creation() {
    on(Flavour::CurrentThread, async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let failed = task_group(async |tg| {
            // Slots are used again in another order.
            for _ in 0..5 {
                let _done = tg.create_task(async { Ok(()) });
            }
            asyncio::sleep(secs(1)).await;
            for n in 0..8 {
                let order = order.clone();
                let _task = tg.create_task(async move {
                    until_cancelled().await;
                    order.lock().unwrap().push(n);
                    Ok(())
                });
            }
            fail_after(1, "block").await
        });
        failed.await.unwrap_err();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    });
}

/// Real time, real workers: failures race with new tasks, with the block's end and with requests from outside.
#[test]
fn failures_race_with_everything() {
    let rounds = 300;
    for flavour in [Flavour::Workers(2), Flavour::Workers(4)] {
        let runner = flavour.builder_in_real_time().build().unwrap();
        support::within_patience(flavour, || {
            runner
                .run(async move {
                    for round in 0..rounds {
                        race(round).await;
                    }
                })
                .unwrap();
        });
    }
}

async fn race(round: usize) {
    let parent = asyncio::create_task(async move {
        let group = task_group(async |tg| {
            for n in 0..20 {
                let inner = tg.clone();
                let _task = tg.create_task(async move {
                    if n % 3 == 0 {
                        asyncio::yield_now().await;
                    }
                    let _more = inner.create_task(async { Ok(asyncio::yield_now().await) });
                    if n == round % 20 { Err(n) } else { Ok(()) }
                });
            }
            if round.is_multiple_of(2) {
                asyncio::yield_now().await;
            }
            Ok(())
        });
        let failed = group.await.unwrap_err();
        assert_eq!(failed.exceptions(), [round % 20]);
        current_task().unwrap().cancelling()
    });
    if round.is_multiple_of(5) {
        asyncio::yield_now().await;
        parent.cancel();
        let _ended = parent.outcome().await;
    } else {
        assert_eq!(parent.await, 0);
    }
}
