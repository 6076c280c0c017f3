//! `wait` and `as_completed` without a clock. (With one: the facade's `tests/waiting.rs`.)

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FusedStream, StreamExt};
use kumihimo_combinators::{
    AsCompleted, AsCompletedWithin, Done, FirstCompleted, Next, Wait, as_completed, wait,
};
use kumihimo_executor::{
    Builder, ParkDriver, Runtime, SharedTask, Task, TaskHandle, create_local_task, create_task, yield_now,
};

fn runtime(builder: Builder) -> Runtime {
    builder.build(Arc::new(ParkDriver::default())).unwrap()
}

/// Runs a test on one thread, and on several.
fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    runtime(Builder::new().current_thread()).block_on(test(), |_| {}).unwrap();
    for workers in [1, 3] {
        runtime(Builder::new().worker_threads(workers)).block_on(test(), |_| {}).unwrap();
    }
}

/// Tasks that give their number.
fn tasks<const N: usize>() -> [Task<usize>; N] {
    std::array::from_fn(|n| create_task(async move { n }))
}

fn panic_message(test: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).expect_err("no panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).into(),
    }
}

/// Counts its wake-ups.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
}

#[test]
fn whatever_holds_tasks_can_be_lent() {
    everywhere(|| async {
        let tasks = tasks::<3>();
        let handles: Vec<TaskHandle> = tasks.iter().map(|task| task.handle()).collect();
        let shared: Vec<SharedTask<usize>> = tasks.into_iter().map(Task::shared).collect();
        let lent: Vec<&SharedTask<usize>> = shared.iter().collect();

        let done: Done<&TaskHandle> = wait(&handles).await;
        assert_eq!(done.done.len(), 3);
        let done: Done<&SharedTask<usize>> = wait(&shared[1..]).await;
        assert_eq!(done.done[0].try_result().unwrap(), 1);
        let done: Done<&SharedTask<usize>> = wait(&lent).await;
        assert_eq!(wait(&done.done).await.done.len(), 3);
        let done: Done<&TaskHandle> = wait(&[&handles[0], &handles[0]]).await;
        assert_eq!((done.done.len(), done.pending.len()), (1, 0));
        // Given away, the output moves.
        let done: Done<Task<usize>> = wait(shared).await;
        assert_eq!(done.done.into_iter().next().unwrap().await, 0);
    });
}

#[test]
fn a_local_task_can_be_lent() {
    everywhere(|| async {
        let tasks = [1, 2].map(|n| create_local_task(async move { Rc::new(n) }));
        assert_eq!(wait(&tasks).await.done.len(), 2);
        assert_eq!(as_completed(&tasks).count().await, 2);
        let [first, _] = tasks;
        assert_eq!(*first.await, 1);
    });
}

#[test]
fn duplicates_count_once() {
    everywhere(|| async {
        let [a, b] = tasks().map(Task::shared);
        let found = wait(vec![a.clone(), b.clone(), a.clone()]).await;
        assert_eq!(found.done.len(), 2);
        assert_eq!(found.done[1].id(), b.id());
        assert_eq!(as_completed([a.clone(), b, a]).count().await, 2);
    });
}

#[test]
fn nothing_to_wait_for_is_an_error_and_nothing_to_iterate_is_none() {
    everywhere(|| async {
        let message = panic_message(|| drop(wait(Vec::<Task<()>>::new())));
        assert!(message.contains("no tasks"), "{message}");
        let mut turns = as_completed(Vec::<Task<()>>::new());
        assert!(turns.is_terminated() && turns.next().await.is_none());
    });
}

#[test]
fn a_task_knows_who_made_it() {
    everywhere(|| async {
        let line = line!() + 1;
        let found = wait([yield_now()]).await;
        assert_eq!((found.done[0].created_at().file(), found.done[0].created_at().line()), (file!(), line));
        let line = line!() + 1;
        let task = as_completed(vec![yield_now()]).next().await.unwrap();
        assert_eq!((task.created_at().file(), task.created_at().line()), (file!(), line));
    });
}

#[test]
fn a_wait_that_was_dropped_wakes_nobody() {
    everywhere(|| async {
        let never = create_task(pending::<()>());
        let task = create_task(async {
            for _ in 0..3 {
                yield_now().await;
            }
        });
        let wakes = Arc::new(Wakes::default());
        let (mut waits, mut turns) =
            (wait(&[&never, &task]).return_when(FirstCompleted), as_completed(&[&task]));
        assert!(poll(&mut waits, &wakes).is_pending());
        let mut next = turns.next();
        assert!(poll(&mut next, &wakes).is_pending());
        drop(waits);
        drop(next);
        // On one thread the end of a task that is done is told later.
        let done = create_task(async {});
        done.wait_end().await;
        let mut waits = wait(&[&done]);
        let _ready_on_several_workers = poll(&mut waits, &wakes);
        drop(waits);
        task.wait_end().await;
        yield_now().await;
        assert_eq!(wakes.0.load(Relaxed), 0);
        assert!(turns.next().await.is_some());
        never.cancel();
    });
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    everywhere(|| async {
        let tasks = tasks::<1>();
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let never = create_task(pending::<usize>());
        let mut waits = wait(&[&tasks[0], &never]);
        assert!(poll(&mut waits, &first).is_pending() && poll(&mut waits, &last).is_pending());
        never.cancel();
        while last.0.load(Relaxed) == 0 {
            yield_now().await;
        }
        assert_eq!(first.0.load(Relaxed), 0);
        assert_eq!(waits.await.done.len(), 2);
    });
}

#[test]
fn a_wait_returns_once() {
    runtime(Builder::new().current_thread())
        .block_on(
            async {
                let mut waits = wait(tasks::<1>());
                (&mut waits).await;
                let polled = poll_fn(|cx| Poll::Ready(panic_message(|| drop(Pin::new(&mut waits).poll(cx)))));
                assert!(polled.await.contains("after it had returned"));
            },
            |_| {},
        )
        .unwrap();
}

#[test]
fn tasks_of_another_loop() {
    std::thread::scope(|scope| {
        let (give, take) = std::sync::mpsc::channel();
        let other = scope.spawn(move || {
            let running = async {
                let (end, ended) = AbortHandle::new_pair();
                give.send((tasks::<3>(), end)).unwrap();
                let _aborted = Abortable::new(pending::<()>(), ended).await;
            };
            runtime(Builder::new().worker_threads(2)).block_on(running, |_| {}).unwrap();
        });
        let (tasks, end) = take.recv().unwrap();
        let both = async { (wait(&tasks).await.done.len(), as_completed(&tasks).count().await) };
        let near = runtime(Builder::new().current_thread());
        assert_eq!(near.block_on(both, |_| {}).unwrap(), (3, 3));
        end.abort();
        other.join().unwrap();
    });
}

#[test]
fn they_go_where_tasks_go() {
    fn goes<T: Send + Unpin>() {}
    goes::<Wait<Task<String>>>();
    goes::<Wait<&Task<String>>>();
    goes::<AsCompleted<Task<String>>>();
    goes::<AsCompletedWithin<Task<String>>>();
    goes::<Next<'_, Task<String>>>();
}
