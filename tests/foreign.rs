//! Combinators of others, futures' and such as people write by hand, around leaves, forwards and scopes of ours.

// Tasks are handed out of a run on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]

#[path = "foreign/build.rs"]
mod build;
mod support;
#[path = "foreign/tree.rs"]
mod tree;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex};

use build::Run;
use futures_util::future::{self, Aborted, BoxFuture, abortable};
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, StreamExt, select_biased};
use kumihimo as asyncio;
use kumihimo::{Task, TaskHandle, TimeoutError, catch_cancelled, finally};
use proptest::prelude::*;
use support::{Flavour, everywhere, millis, secs};
use tree::{Flat, Hit};

const FLAVOURS: [Flavour; 2] = [Flavour::CurrentThread, Flavour::Workers(2)];

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Says what happened besides what was wrong with it.
fn report(flavour: Flavour, run: &Run, checked: Result<(), TestCaseError>) -> Result<(), TestCaseError> {
    let Run { end, events, .. } = run;
    checked.map_err(|error| TestCaseError::fail(format!("{error}; {end:?} on {flavour}: {:?}", events.0)))
}

// === by property ===

proptest! {
    #![proptest_config(config())]

    /// Who is hit cleans up, from the inside out, and what is inside of that is dropped; everything else goes on.
    #[test]
    fn a_hit_goes_its_way_and_spares_the_others((tree, hit) in tree::hit_trees()) {
        for flavour in FLAVOURS {
            let (timeout, requests) = match hit {
                Hit::Cancel(at) => (None, vec![at]),
                Hit::Timeout(at) => (Some(at), vec![]),
                Hit::Panic(_) => (None, vec![]),
            };
            let run = build::run(flavour, &tree, timeout, &requests);
            report(flavour, &run, Flat::new(&tree).check(flavour, hit, &run))?;
        }
    }

    /// Where branches race as well, and requests come at any time, at that of other events too.
    #[test]
    fn nothing_is_lost_whatever_strikes(
        tree in tree::all_trees(),
        timeout in prop::option::of(0..60_u64),
        mut requests in prop::collection::vec(0..60_u64, 0..3),
    ) {
        requests.sort();
        for flavour in FLAVOURS {
            let run = build::run(flavour, &tree, timeout, &requests);
            report(flavour, &run, Flat::new(&tree).check_anyhow(&run))?;
        }
    }
}

// === one by one ===

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

    /// A clean-up that takes a while.
    fn clean_up(&self, event: &'static str) -> impl Future<Output = ()> + Send + use<> {
        let events = self.clone();
        async move {
            asyncio::sleep(millis(5)).await;
            events.note(event);
        }
    }
}

/// Lets other tasks come to where they wait.
async fn settle() {
    asyncio::sleep(millis(1)).await;
}

/// Lets everything happen that still can.
async fn quiet() {
    asyncio::sleep(secs(1000)).await;
}

fn waiting() -> (Task<()>, TaskHandle) {
    let task = asyncio::create_task(pending());
    let handle = task.handle();
    (task, handle)
}

/// Cancels a task where it waits, and says whether it ended cancelled.
async fn cancelled<T>(task: Task<T>) -> bool {
    settle().await;
    task.cancel();
    task.outcome().await.is_err_and(|error| error.is_cancelled())
}

#[test]
fn next_can_be_cancelled_at_any_time_and_loses_nothing() {
    everywhere(async || {
        for moment in [millis(500), secs(1), millis(2500), secs(3), secs(5)] {
            let task = asyncio::create_task(async {
                let mut sleeps: FuturesUnordered<_> =
                    (1..=5).map(|n| asyncio::sleep_with(secs(n), n)).collect();
                let (mut got, mut caught) = (Vec::new(), 0);
                while got.len() < 5 {
                    match catch_cancelled(sleeps.next()).await {
                        Ok(next) => got.extend(next),
                        Err(_) => caught += 1,
                    }
                }
                (got, caught)
            });
            let handle = task.handle();
            asyncio::sleep(moment).await;
            let requested = handle.cancel();
            // At five seconds the task may have ended before, or be due to give its value: then that is lost.
            match task.outcome().await {
                Ok((got, caught)) => assert_eq!((got, caught), (vec![1, 2, 3, 4, 5], i32::from(requested))),
                Err(_) => assert_eq!(moment, secs(5)),
            }
        }
    });
}

#[test]
fn an_error_or_an_abort_drops_the_others_and_their_clean_up_is_spawned_if_told() {
    everywhere(async || {
        let events = Events::default();
        let failed = futures_util::try_join!(
            finally(pending::<Result<(), &str>>(), events.clean_up("never")),
            finally(pending::<Result<(), &str>>(), events.clean_up("spawned")).or_spawn(),
            finally(async { Err::<(), _>("failed") }, events.clean_up("its own")),
        );
        assert_eq!(failed, Err("failed"));
        quiet().await;
        assert_eq!(events.take(), ["its own", "spawned"]);

        for or_spawn in [false, true] {
            let work = finally(pending::<()>(), events.clean_up("cleaned up"));
            let work = if or_spawn { work.or_spawn().left_future() } else { work.right_future() };
            let (work, handle) = abortable(work);
            let task = asyncio::create_task(work);
            settle().await;
            handle.abort();
            assert_eq!(task.await, Err(Aborted));
            quiet().await;
            assert_eq!(events.take(), if or_spawn { vec!["cleaned up"] } else { vec![] });
        }
    });
}

/// The limit that `finally` and `catch_cancelled` name, and what is there instead.
#[test]
fn what_polls_only_who_was_woken_passes_no_cancellation_on() {
    everywhere(async || {
        let events = Events::default();
        let work = |event| finally(pending::<()>(), events.clean_up(event));

        let unordered: FuturesUnordered<_> = [work("never"), work("never")].into_iter().collect();
        assert!(cancelled(asyncio::create_task(unordered.collect::<Vec<_>>())).await);
        let buffered = stream::iter([work("never"), work("never")]).buffer_unordered(2);
        assert!(cancelled(asyncio::create_task(buffered.collect::<Vec<_>>())).await);
        assert!(cancelled(asyncio::create_task(future::join_all((0..31).map(|_| work("never"))))).await);
        quiet().await;
        assert!(events.take().is_empty());

        let spawning = [work("spawned").or_spawn(), work("spawned").or_spawn()];
        let unordered: FuturesUnordered<_> = spawning.into_iter().collect();
        assert!(cancelled(asyncio::create_task(unordered.collect::<Vec<_>>())).await);
        quiet().await;
        assert_eq!(events.take(), ["spawned"; 2]);

        let gather = asyncio::gather([work("gathered"), work("gathered")]);
        assert!(cancelled(asyncio::create_task(gather)).await);
        quiet().await;
        assert_eq!(events.take(), ["gathered"; 2]);
    });
}

/// As above, of two scopes or two awaited tasks side by side one takes the request: the other is dropped.
#[test]
fn of_those_that_are_joined_one_takes_the_request() {
    everywhere(async || {
        let events = Events::default();
        let work = |event| finally(pending::<()>(), events.clean_up(event));
        let (left, right) = (work("left"), work("right"));
        assert!(cancelled(asyncio::create_task(async { futures_util::join!(left, right) })).await);
        quiet().await;
        assert_eq!(events.take(), ["left"]);

        let ((left, left_handle), (right, right_handle)) = (waiting(), waiting());
        assert!(cancelled(asyncio::create_task(async { futures_util::join!(left, right) })).await);
        assert!(left_handle.cancelled() && !right_handle.done());
        assert!(right_handle.cancel());

        let tasks = [waiting(), waiting()];
        let handles = tasks.each_ref().map(|(_, handle)| handle.clone());
        let unordered: FuturesUnordered<_> = tasks.into_iter().map(|(task, _)| task).collect();
        assert!(cancelled(asyncio::create_task(unordered.collect::<Vec<_>>())).await);
        assert!(handles.iter().all(|handle| !handle.done() && handle.cancel()));
    });
}

#[test]
fn a_time_out_within_a_branch_cleans_up_there_and_spares_the_others() {
    everywhere(async || {
        let events = Events::default();
        let slow = |event, time| {
            asyncio::wait_for(finally(asyncio::sleep(secs(time)), events.clean_up(event)), secs(3))
        };
        let work = [("slow", 60), ("quick", 2), ("quicker", 1)].map(|(event, time)| slow(event, time));
        let unordered: FuturesUnordered<_> = work.into_iter().collect();
        let ended: Vec<_> = unordered.map(|result| result.is_ok()).collect().await;
        assert_eq!(ended, [true, true, false]);
        assert_eq!(events.take(), ["quicker", "quick", "slow"]);
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
    });
}

#[test]
fn a_group_in_a_branch_that_fails_spares_the_others() {
    everywhere(async || {
        let events = Events::default();
        let group = asyncio::task_group(async |tg| {
            let _fails = tg.create_task(async {
                asyncio::sleep(secs(1)).await;
                Err::<(), _>("failed")
            });
            finally(pending::<()>(), events.clean_up("the block")).await;
            Ok(())
        });
        let other = finally(asyncio::sleep_with(secs(2), "other"), events.clean_up("the other"));
        let (group, other) = futures_util::join!(group, other);
        assert_eq!((group.unwrap_err().exceptions(), other), (&["failed"][..], "other"));
        assert_eq!(events.take(), ["the block", "the other"]);
    });
}

/// A future that several tasks share with `Shared` has one place for all of them to be cancelled in.
#[test]
fn of_those_who_share_a_leaf_one_is_cancelled() {
    everywhere(async || {
        let sleep = asyncio::sleep(secs(5)).shared();
        let (one, other) = (asyncio::create_task(sleep.clone()), asyncio::create_task(sleep));
        assert!(cancelled(one).await);
        other.await;
    });
}

#[test]
fn those_who_share_a_scope_or_a_task_are_cancelled_together() {
    support::everywhere(async || {
        let events = Events::default();
        let scope = finally(pending::<()>(), events.clean_up("scope")).boxed();
        let inner = asyncio::create_task(finally(pending::<()>(), events.clean_up("task"))).boxed();
        for (shared, event) in [(scope.shared(), "scope"), (inner.shared(), "task")] {
            let tasks = [(); 3].map(|()| asyncio::create_task(shared.clone()));
            settle().await;
            tasks[1].cancel();
            for task in tasks {
                assert!(task.outcome().await.is_err_and(|error| error.is_cancelled()));
            }
            assert_eq!(events.take(), [event]);
        }
    });
}

#[test]
fn a_stream_of_ours_goes_through_theirs() {
    everywhere(async || {
        let tasks = [3, 1, 2].map(|n| asyncio::create_task(asyncio::sleep_with(secs(n), n)));
        let values = asyncio::as_completed(Vec::from(tasks)).then(|task| task).map(|n| n * 10);
        assert_eq!(values.collect::<Vec<_>>().await, [10, 20, 30]);

        // Cancelled while it waits, it has lost none.
        let task = asyncio::create_task(async {
            let tasks = [3, 1, 2].map(|n| asyncio::create_task(asyncio::sleep_with(secs(n), n)));
            let mut tasks = asyncio::as_completed(Vec::from(tasks));
            let caught = catch_cancelled(StreamExt::next(&mut tasks)).await.is_err();
            (caught, tasks.then(|task| task).collect::<Vec<_>>().await)
        });
        settle().await;
        task.cancel();
        assert_eq!(task.await, (true, vec![1, 2, 3]));
    });
}

#[test]
fn a_branch_that_is_not_hit_can_win_the_race() {
    everywhere(async || {
        let task = asyncio::create_task(async {
            let mut caught = pin!(catch_cancelled(asyncio::sleep(secs(10))).fuse());
            let mut timer = pin!(asyncio::sleep(secs(2)).fuse());
            let first = select_biased! { caught = caught => caught.is_err(), () = timer => false };
            // The request was for the scope, and swallowed there: the timer is still good.
            timer.await;
            (first, asyncio::current_task().unwrap().cancelling())
        });
        settle().await;
        task.cancel();
        assert_eq!(task.await, (true, 1));
    });
}

/// Several scopes in one task that make requests of their own: each counts for its own inside only.
#[test]
fn time_outs_side_by_side_do_not_concern_each_other() {
    everywhere(async || {
        let limited = |time| asyncio::wait_for(asyncio::sleep(secs(time)), secs(2));
        let (one, other, quick) = futures_util::join!(limited(10), limited(20), limited(1));
        assert_eq!((one, other, quick), (Err(TimeoutError), Err(TimeoutError), Ok(())));

        let times = [0, 1, 3, 4].repeat(10);
        let all: Vec<_> = stream::iter(times).map(limited).buffer_unordered(40).collect().await;
        assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 20);

        // One expires while another still cleans up.
        let events = Events::default();
        let slow =
            |limit, event| asyncio::wait_for(finally(pending::<()>(), events.clean_up(event)), millis(limit));
        let (one, other) = futures_util::join!(slow(10, "one"), slow(12, "other"));
        assert_eq!((one, other, events.take()), (Err(TimeoutError), Err(TimeoutError), vec!["one", "other"]));

        // The one around expires while one in it cleans up: that is for both, and no `TimeoutError` of the inner one's.
        let inner = async {
            let inner = slow(10, "cut short").await;
            unreachable!("{inner:?}, though the outer one has expired, too")
        };
        let (outer, other): (Result<(), _>, _) =
            futures_util::join!(asyncio::wait_for(inner, millis(12)), limited(10));
        assert_eq!((outer, other), (Err(TimeoutError), Err(TimeoutError)));
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
    });
}

#[test]
fn groups_side_by_side_do_not_concern_each_other() {
    everywhere(async || {
        let events = Events::default();
        let group = |time, event| {
            let events = events.clone();
            asyncio::task_group(async move |tg| {
                let _fails = tg.create_task(async move {
                    asyncio::sleep(millis(time)).await;
                    Err::<(), _>(event)
                });
                finally(pending::<()>(), events.clean_up(event)).await;
                Ok(())
            })
        };
        let time_out = asyncio::wait_for(pending::<()>(), millis(12));
        let (one, other, time_out) = futures_util::join!(group(10, "one"), group(11, "other"), time_out);
        assert_eq!(one.unwrap_err().exceptions(), ["one"]);
        assert_eq!(other.unwrap_err().exceptions(), ["other"]);
        assert_eq!((time_out, events.take()), (Err(TimeoutError), vec!["one", "other"]));
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
        // Nobody is owed a request.
        asyncio::sleep(secs(1)).await;
    });
}

#[test]
fn a_scope_that_is_dropped_while_it_cleans_up_gives_the_request_back() {
    everywhere(async || {
        let works: [fn() -> BoxFuture<'static, ()>; 3] = [
            || finally(pending::<()>(), asyncio::sleep(secs(5))).boxed(),
            || {
                asyncio::wait_for(finally(pending::<()>(), asyncio::sleep(secs(5))), secs(100))
                    .map(drop)
                    .boxed()
            },
            || {
                let group = asyncio::task_group(async |tg| {
                    let _child =
                        tg.create_task(finally(pending::<Result<(), ()>>(), asyncio::sleep(secs(5))));
                    Ok(())
                });
                group.map(drop).boxed()
            },
        ];
        for work in works {
            let task = asyncio::create_task(async move {
                let mut timer = pin!(asyncio::sleep(secs(1)).fuse());
                select_biased! { () = work().fuse() => unreachable!(), () = timer => {} }
                catch_cancelled(asyncio::sleep(secs(10))).await.is_err()
            });
            settle().await;
            task.cancel();
            assert!(task.await, "the request is delivered at the next await");
        }
    });
}
