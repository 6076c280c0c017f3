//! `wait` and `as_completed`: time-outs, cancellation, and asyncio's passes.

mod support;

use std::fmt::Write;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use kumihimo as asyncio;
use kumihimo::future::AsTask;
use kumihimo::{
    AllCompleted, FirstCompleted, Instant, SharedTask, Task, TaskHandle, TimeoutError, as_completed,
    create_task, sleep, wait, yield_now,
};
use support::{Flavour, everywhere, on};

const SECOND: Duration = Duration::from_secs(1);

async fn after<T>(seconds: u32, value: T) -> T {
    sleep(SECOND * seconds).await;
    value
}

/// Sleepers that give how long they slept.
fn sleepers<const N: usize>(seconds: [u32; N]) -> Vec<Task<u32>> {
    seconds.map(|seconds| create_task(after(seconds, seconds))).into()
}

async fn values<T>(tasks: Vec<Task<T>>) -> Vec<T> {
    let mut values = Vec::new();
    for task in tasks {
        values.push(task.await);
    }
    values
}

fn ids<H: AsTask>(tasks: &[H]) -> Vec<asyncio::TaskId> {
    tasks.iter().map(|task| task.as_task().id()).collect()
}

#[test]
fn all_or_the_first_in_the_order_given() {
    everywhere(|| async {
        let start = Instant::now();
        let all = wait(sleepers([3, 1, 2])).await;
        assert_eq!((values(all.done).await, all.pending.len()), (vec![3, 1, 2], 0));
        assert_eq!(start.elapsed(), SECOND * 3);

        let first = wait(sleepers([3, 1, 2])).return_when(FirstCompleted).await;
        assert_eq!((values(first.done).await, start.elapsed()), (vec![1], SECOND * 4));
        let rest = wait(first.pending).return_when(AllCompleted).await;
        assert_eq!((values(rest.done).await, start.elapsed()), (vec![3, 2], SECOND * 6));
    });
}

#[test]
fn a_time_out_cancels_nothing_and_is_no_error() {
    everywhere(|| async {
        let start = Instant::now();
        let tasks = sleepers([1, 4]);
        let found = wait(&tasks).timeout(SECOND * 2).await;
        assert_eq!((ids(&found.done), ids(&found.pending)), (ids(&tasks[..1]), ids(&tasks[1..])));
        assert_eq!((start.elapsed(), found.pending[0].cancelling()), (SECOND * 2, 0));

        let found = wait(&tasks).timeout(Duration::ZERO).await;
        assert_eq!((found.done.len(), found.pending.len(), start.elapsed()), (1, 1, SECOND * 2));

        for limit in [Some(SECOND * 60), Some(Duration::MAX), None] {
            let found = wait(&tasks).timeout(limit).await;
            assert_eq!((found.done.len(), found.pending.len(), start.elapsed()), (2, 0, SECOND * 4));
        }
        assert_eq!(values(tasks).await, [1, 4]);
    });
}

#[test]
fn the_time_counts_from_the_first_poll_of_a_wait() {
    everywhere(|| async {
        let start = Instant::now();
        let tasks = sleepers([9]);
        let waiting = wait(&tasks).timeout(SECOND * 2);
        sleep(SECOND * 3).await;
        waiting.await;
        assert_eq!(start.elapsed(), SECOND * 5);
    });
}

#[test]
fn a_cancelled_waiter_leaves_the_tasks_alone() {
    everywhere(|| async {
        let tasks: Arc<Vec<SharedTask<u32>>> =
            Arc::new(sleepers([2, 3]).into_iter().map(Task::shared).collect());
        let waits = {
            let tasks = tasks.clone();
            create_task(async move { wait(&*tasks).await.done.len() })
        };
        let takes_turns = {
            let tasks = tasks.clone();
            create_task(async move {
                let mut turns = as_completed(&*tasks);
                let cancelled = asyncio::catch_cancelled(turns.next()).await.is_err();
                // No turn was lost.
                let mut rest = 0;
                while turns.next().await.is_some() {
                    rest += 1;
                }
                (cancelled, rest)
            })
        };
        sleep(SECOND).await;
        waits.cancel();
        takes_turns.cancel();
        assert!(waits.outcome().await.unwrap_err().is_cancelled());
        assert_eq!(takes_turns.await, (true, 2));
        for (task, seconds) in tasks.iter().zip([2, 3]) {
            assert_eq!((task.cancelling(), task.try_result().unwrap()), (0, seconds));
        }
    });
}

#[test]
fn a_request_that_comes_when_what_is_awaited_has_come_is_for_the_waiter() {
    // As in asyncio: the waiter is woken, but has not run.
    async fn cancelled_then(waits: impl Future<Output = ()> + Send + 'static) {
        let waiter = create_task(waits);
        let handle = waiter.handle();
        let cancels = create_task(async move {
            sleep(SECOND).await;
            yield_now().await;
            assert!(handle.cancel());
        });
        cancels.await;
        assert!(waiter.outcome().await.unwrap_err().is_cancelled());
    }
    on(Flavour::CurrentThread, async {
        let tasks = sleepers([1]);
        cancelled_then(async move {
            wait(&tasks).await;
            unreachable!("cancelled before it resumed");
        })
        .await;
        let tasks = sleepers([1]);
        cancelled_then(async move {
            let mut turns = as_completed(tasks);
            let cancelled = asyncio::catch_cancelled(turns.next()).await.unwrap_err();
            // The turn was not lost.
            assert!(turns.next().await.unwrap().done());
            cancelled.raise().await
        })
        .await;
    });
}

#[test]
fn turns_come_in_order_of_completion_and_give_the_same_tasks() {
    everywhere(|| async {
        let tasks: Vec<_> = sleepers([3, 1, 2]).into_iter().map(Task::shared).collect();
        let twice: Vec<_> = tasks.iter().chain(&tasks).collect();
        let mut turns = as_completed(&twice);
        let mut order = Vec::new();
        while let Some(task) = turns.next().await {
            assert!(task.done() && tasks.iter().any(|one| std::ptr::eq(one, task)));
            order.push(task.try_result().unwrap());
        }
        assert_eq!(order, [1, 2, 3]);
        assert!(turns.next().await.is_none());
    });
}

#[test]
fn leaving_early_leaves_the_rest_running_and_it_can_go_on() {
    everywhere(|| async {
        let mut turns = as_completed(sleepers([3, 1, 2]));
        assert_eq!(turns.next().await.unwrap().await, 1);
        sleep(SECOND * 5).await;
        assert_eq!(turns.pending().filter(|task| task.done()).count(), 2);
        // What happened meanwhile is there, in its order.
        assert_eq!(turns.size_hint(), (2, Some(2)));
        let order: Vec<u32> = turns.then(|task| task).collect().await;
        assert_eq!(order, [2, 3]);

        let mut turns = as_completed(sleepers([3, 1, 2]));
        assert_eq!(turns.next().await.unwrap().await, 1);
        assert_eq!(values(turns.into_pending()).await, [3, 2]);
    });
}

#[test]
fn failures_come_at_their_turn() {
    everywhere(|| async {
        let cancelled = create_task(pending());
        let handle = cancelled.handle();
        drop(create_task(async move {
            sleep(SECOND * 2).await;
            handle.cancel();
        }));
        let panics = create_task(async {
            sleep(SECOND).await;
            panic!("on purpose")
        });
        let mut turns = as_completed(vec![cancelled, panics, create_task(after(3, ()))]);
        assert!(turns.next().await.unwrap().outcome().await.unwrap_err().is_panic());
        assert!(turns.next().await.unwrap().outcome().await.unwrap_err().is_cancelled());
        turns.next().await.unwrap().await;
        assert!(turns.next().await.is_none());
        assert_eq!(asyncio::current_task().unwrap().cancelling(), 0);
    });
}

#[test]
fn when_the_time_is_up_each_turn_that_is_left_says_so() {
    everywhere(|| async {
        let start = Instant::now();
        let mut turns = as_completed(sleepers([1, 2, 5, 6])).timeout(SECOND * 3);
        assert_eq!(turns.next().await.unwrap().unwrap().await, 1);
        // The second ends in time, and is given later; the third ends too late.
        sleep(SECOND * 6).await;
        assert_eq!(turns.next().await.unwrap().unwrap().await, 2);
        for _ in 0..2 {
            assert_eq!(turns.next().await.unwrap().unwrap_err(), TimeoutError);
        }
        assert!(turns.next().await.is_none() && turns.next().await.is_none());
        let left = turns.into_pending();
        assert!(left.iter().all(|task| task.cancelling() == 0));
        assert_eq!(values(left).await, [5, 6]);

        let mut turns = as_completed(sleepers([5])).timeout(SECOND);
        let now = Instant::now();
        assert_eq!(StreamExt::next(&mut turns).await.unwrap().unwrap_err(), TimeoutError);
        assert_eq!(now.elapsed(), SECOND);
        assert!(start.elapsed() > SECOND);
    });
}

#[test]
fn a_time_out_that_is_not_reached_changes_nothing() {
    everywhere(|| async {
        let start = Instant::now();
        let mut turns = as_completed(sleepers([1, 2])).timeout(SECOND * 60);
        let mut order = Vec::new();
        while let Some(task) = turns.next().await {
            order.push(task.unwrap().await);
        }
        assert_eq!((order, start.elapsed()), (vec![1, 2], SECOND * 2));
        assert!(as_completed(Vec::<Task<()>>::new()).timeout(SECOND).next().await.is_none());
        assert_eq!(as_completed(sleepers([1])).timeout(None).count().await, 1);
    });
}

#[test]
fn the_first_exception_is_an_error_or_a_panic_and_no_cancellation() {
    everywhere(|| async {
        let ends = |seconds, end: Result<u32, &'static str>| create_task(after(seconds, end));
        let start = Instant::now();
        let cancelled = create_task(pending());
        cancelled.cancel();
        let tasks = [cancelled, ends(1, Ok(1)), ends(2, Err("failed")), ends(4, Ok(4))];
        let found = wait(&tasks).first_exception().await;
        assert_eq!((ids(&found.done), ids(&found.pending)), (ids(&tasks[..3]), ids(&tasks[3..])));
        assert_eq!(start.elapsed(), SECOND * 2);
        // One that has failed before ends it at once, and those that didn't fail don't.
        let found = wait(&tasks[2..]).first_exception().await;
        assert_eq!((found.done.len(), start.elapsed()), (1, SECOND * 2));
        let found = wait(&[&tasks[0], &tasks[1], &tasks[3]]).first_exception().await;
        assert_eq!((found.done.len(), start.elapsed()), (3, SECOND * 4));
        let [_, _, failed, _] = tasks;
        assert_eq!(failed.await, Err("failed"));

        let panics = create_task(async {
            sleep(SECOND).await;
            panic!("on purpose")
        });
        let found = wait(vec![panics, ends(2, Ok(2))]).first_exception().await;
        assert_eq!((found.done.len(), found.pending.len(), start.elapsed()), (1, 1, SECOND * 5));
        drop(values(found.pending).await);
        for panicked in found.done {
            assert!(panicked.outcome().await.unwrap_err().is_panic());
        }
    });
}

#[test]
fn the_first_exception_of_shared_tasks_and_promises() {
    everywhere(|| async {
        let tasks = [1, 2].map(|n| create_task(after(n, Err::<(), u32>(n))).shared());
        let found = wait(&tasks).first_exception().await;
        assert_eq!((found.done.len(), tasks[0].clone().await), (1, Err(1)));

        let promises = [(); 2].map(|()| asyncio::get_running_loop().create_future::<Result<(), String>>());
        promises[1].set_exception("no".into()).unwrap();
        let found = wait(&promises).first_exception().await;
        assert_eq!(ids(&found.done), ids(&promises[1..]));
        promises[0].set_result(Ok(())).unwrap();
    });
}

#[test]
fn a_wait_that_is_polled_by_foreign_code_hears_of_every_end() {
    everywhere(|| async {
        let tasks = sleepers([1, 2]);
        let waits = futures_util::future::join(wait(&tasks), wait(&tasks).return_when(FirstCompleted));
        let (all, first) = waits.await;
        assert_eq!((all.done.len(), first.done.len(), first.pending.len()), (2, 1, 1));
    });
}

/// A thousand tasks on several threads, of which waiters that come and go lose no end.
#[test]
fn many_tasks_and_rounds() {
    for workers in [1, 2, 4] {
        on(Flavour::Workers(workers), async {
            let tasks: Vec<_> = (0..1000)
                .map(|i| {
                    create_task(async move {
                        for _ in 0..i % 7 {
                            yield_now().await;
                        }
                        i
                    })
                })
                .collect();
            let mut sum = 0;
            let mut pending: Vec<_> = tasks.iter().collect();
            while !pending.is_empty() {
                let round = wait(&pending).return_when(FirstCompleted).await;
                assert!(!round.done.is_empty() && round.done.iter().all(|task| task.done()));
                sum += round.done.len();
                pending = round.pending;
            }
            assert_eq!(sum, 1000);
            let mut turns = as_completed(tasks);
            let mut values = Vec::new();
            while let Some(task) = turns.next().await {
                values.push(task.await);
            }
            values.sort();
            assert!(values.into_iter().eq(0..1000));
        });
    }
}

/// Counts passes, and notes in which one something happens. What the tests expect is what the same programs print on
/// CPython 3.13.
#[derive(Clone, Default)]
struct Passes(Arc<(AtomicUsize, Mutex<String>)>);

impl Passes {
    fn start(&self) -> TaskHandle {
        let passes = self.clone();
        let ticker = create_task(async move {
            loop {
                passes.0.0.fetch_add(1, Relaxed);
                yield_now().await;
            }
        });
        let handle = ticker.handle();
        drop::<Task<()>>(ticker);
        handle
    }

    fn note(&self, what: impl std::fmt::Display) {
        write!(self.0.1.lock().unwrap(), "{what} {}, ", self.0.0.load(Relaxed)).unwrap();
    }

    /// A task that ends after so many passes.
    fn spawn(&self, passes: usize) -> Task<usize> {
        let this = self.clone();
        create_task(async move {
            for _ in 0..passes {
                yield_now().await;
            }
            this.note("ends");
            passes
        })
    }
}

/// What a program notes, on one thread.
fn passes<F: Future<Output = ()>>(program: impl FnOnce(Passes) -> F) -> String {
    on(Flavour::CurrentThread, async {
        let passes = Passes::default();
        let ticker = passes.start();
        yield_now().await;
        program(passes.clone()).await;
        ticker.cancel();
        passes.0.1.lock().unwrap().trim_end_matches(", ").to_owned()
    })
}

async fn three_passes() {
    for _ in 0..3 {
        yield_now().await;
    }
}

#[test]
fn two_passes_after_the_end_that_satisfies_the_wait() {
    let all = passes(|passes| async move {
        wait([3, 1, 2].map(|n| passes.spawn(n))).await;
        passes.note("all");
    });
    assert_eq!(all, "ends 3, ends 4, ends 5, all 7");
    let first = passes(|passes| async move {
        let found = wait([3, 1, 1].map(|n| passes.spawn(n))).return_when(FirstCompleted).await;
        passes.note(found.done.len());
    });
    assert_eq!(first, "ends 3, ends 3, ends 5, 3 5");
}

#[test]
fn two_passes_after_the_first_exception() {
    let noted = passes(|passes| async move {
        let fails = |n| {
            let passes = passes.clone();
            create_task(async move {
                for _ in 0..n {
                    yield_now().await;
                }
                passes.note("ends");
                if n == 2 { Err("failed") } else { Ok(()) }
            })
        };
        let found = wait([1, 2, 9].map(fails)).first_exception().await;
        passes.note(found.done.len());
        wait(found.pending).await;
    });
    assert_eq!(noted, "ends 3, ends 4, 2 6, ends 11");
}

#[test]
fn two_passes_if_all_is_done_already() {
    let noted = passes(|passes| async move {
        let tasks = [0, 0].map(|n| passes.spawn(n));
        three_passes().await;
        passes.note("before");
        wait(&tasks).return_when(FirstCompleted).await;
        passes.note("first");
        wait(&tasks).await;
        passes.note("all");
    });
    assert_eq!(noted, "ends 2, ends 2, before 4, first 6, all 8");
}

#[test]
fn two_passes_for_a_time_out_of_zero() {
    let noted = passes(|passes| async move {
        let tasks = [0, 5].map(|n| passes.spawn(n));
        three_passes().await;
        passes.note("before");
        for _ in 0..2 {
            let found = wait(&tasks).timeout(Duration::ZERO).await;
            passes.note(format_args!("done {} at", found.done.len()));
        }
    });
    assert_eq!(noted, "ends 2, before 4, done 1 at 6, ends 7, done 2 at 8");
}

#[test]
fn two_passes_from_an_end_to_its_turn() {
    let running = passes(|passes| async move {
        let mut turns = as_completed([4, 1, 2, 2].map(|n| passes.spawn(n)));
        while let Some(task) = turns.next().await {
            passes.note(format_args!("turn of {} at", task.try_result().unwrap()));
        }
    });
    assert_eq!(
        running,
        "ends 3, ends 4, ends 4, turn of 1 at 5, ends 6, turn of 2 at 6, turn of 2 at 6, turn of 4 at 8"
    );
    let done = passes(|passes| async move {
        let tasks = [0, 0].map(|n| passes.spawn(n));
        three_passes().await;
        passes.note("before");
        let mut turns = as_completed(tasks).timeout(Duration::ZERO);
        while let Some(task) = turns.next().await {
            passes.note(if task.is_ok() { "turn" } else { "time-out" });
        }
    });
    assert_eq!(done, "ends 2, ends 2, before 4, turn 6, turn 6");
}

#[test]
fn turns_after_a_time_out_of_zero() {
    let noted = passes(|passes| async move {
        let tasks = [0, 7, 8].map(|n| passes.spawn(n));
        three_passes().await;
        passes.note("before");
        let mut turns = as_completed(&tasks).timeout(Duration::ZERO);
        while let Some(task) = turns.next().await {
            passes.note(if task.is_ok() { "turn" } else { "time-out" });
        }
        passes.note("end");
        wait(&tasks).await;
    });
    assert_eq!(noted, "ends 2, before 4, turn 6, time-out 6, time-out 6, end 6, ends 9, ends 10");
}

#[test]
fn a_cancelled_waiter_resumes_in_the_next_pass() {
    let noted = passes(|passes| async move {
        let tasks = Arc::new([passes.spawn(6)]);
        let waiter = {
            let (passes, tasks) = (passes.clone(), tasks.clone());
            create_task(async move {
                let cancelled = asyncio::catch_cancelled(wait(&*tasks)).await.unwrap_err();
                passes.note("cancelled");
                cancelled.raise().await
            })
        };
        yield_now().await;
        yield_now().await;
        passes.note("cancel");
        waiter.cancel();
        wait([waiter]).await;
        passes.note(format_args!("waited, {}", tasks[0].done()));
        wait(&*tasks).await;
    });
    assert_eq!(noted, "cancel 3, cancelled 4, waited, false 6, ends 8");
}

#[test]
fn who_waits_for_one_task_stands_in_one_line() {
    let noted = passes(|passes| async move {
        let task = Arc::new(passes.spawn(3));
        let waits = |label| {
            let (passes, task) = (passes.clone(), task.clone());
            create_task(async move {
                wait(&[&*task]).await;
                passes.note(label);
            })
        };
        let awaits = || {
            let (passes, task) = (passes.clone(), task.clone());
            create_task(async move {
                (&*task).await;
                passes.note("awaiter");
            })
        };
        let takes_turns = || {
            let (passes, task) = (passes.clone(), task.clone());
            create_task(async move {
                as_completed(&[&*task]).next().await;
                passes.note("turn");
            })
        };
        wait([waits("first"), awaits(), takes_turns(), waits("last")]).await;
        passes.note("main");
    });
    assert_eq!(noted, "ends 5, awaiter 6, first 7, turn 7, last 7, main 9");
}
