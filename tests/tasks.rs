//! Tasks: their lives, their names, their panics, and the wakers that they hand out.

// Tasks are handed out of a run on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]

mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use kumihimo as asyncio;
use kumihimo::{ContextVar, ResultError, SharedTask, Task, TaskError};
use support::{Flavour, everywhere, millis, on, panic_message, secs};

/// Another executor: runs a future on this thread, outside of any loop.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn names_ids_and_origins() {
    everywhere(async || {
        let before = line!();
        let a = asyncio::create_task(pending::<()>());
        let b = asyncio::create_task(pending::<()>());
        assert_eq!(a.created_at().file(), file!());
        assert_eq!(a.created_at().line(), before + 1);
        assert_ne!(a.id(), b.id());
        assert_eq!(a.name(), format!("Task-{}", a.id()));
        assert_ne!(a.name(), b.name());
        b.set_name("fetch");
        assert_eq!(b.name(), "fetch");
        let shown = format!("{b:?}");
        assert!(shown.contains("fetch") && shown.contains("pending") && shown.contains(file!()), "{shown}");

        let me = asyncio::current_task().unwrap();
        assert_eq!(a.parent_id(), Some(me.id()));
        assert_eq!(me.parent_id(), None);
        assert_eq!(a.handle(), a.handle());
        assert_ne!(a.handle(), b.handle());
        let ids: HashSet<_> = asyncio::all_tasks().into_iter().collect();
        assert_eq!(ids, HashSet::from([me, a.handle(), b.handle()]));
    });
}

#[test]
fn ids_are_unique_over_threads_and_loops() {
    let ids = Mutex::new(HashSet::new());
    everywhere(async || {
        let tasks = (0..1000).map(|_| async {
            let child = asyncio::create_task(async {});
            [asyncio::current_task().unwrap().id(), child.id()]
        });
        for id in asyncio::gather(tasks.collect::<Vec<_>>()).await.into_iter().flatten() {
            assert!(ids.lock().unwrap().insert(id));
        }
    });
}

#[test]
fn outside_of_tasks_there_are_none() {
    assert!(asyncio::current_task().is_none());
    assert!(asyncio::all_tasks().is_empty());
    let message = panic_message(|| drop(asyncio::create_task(async {})));
    assert!(message.contains("create_task() was called without a running event loop"), "{message}");
}

#[test]
fn current_task_follows_the_interleaving() {
    everywhere(async || {
        let tasks = (0..20).map(|i| async move {
            let me = asyncio::current_task().unwrap();
            for _ in 0..20 {
                asyncio::sleep(millis(i % 7)).await;
                assert_eq!(asyncio::current_task().unwrap(), me);
            }
        });
        asyncio::gather(tasks.collect::<Vec<_>>()).await;
    });
}

#[test]
fn a_dropped_task_runs_on() {
    everywhere(async || {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = ran.clone();
        drop(asyncio::create_task(async move {
            asyncio::sleep(millis(10)).await;
            flag.store(true, Relaxed);
        }));
        asyncio::sleep(millis(20)).await;
        assert!(ran.load(Relaxed));
    });
}

#[test]
fn returning_an_error_is_a_result_like_others() {
    everywhere(async || {
        let task = asyncio::create_task(async { Err::<(), _>("an error") });
        assert_eq!((&task).await, Err("an error"));
        assert!(task.done() && !task.cancelled());
        assert_eq!(task.try_result().unwrap(), Err("an error"));
    });
}

#[test]
fn a_panic_stays_in_its_task() {
    everywhere(async || {
        let sibling = asyncio::create_task(asyncio::sleep_with(millis(20), "fine"));
        let task: Task<()> = asyncio::create_task(async { std::panic::panic_any("on purpose") });
        task.wait_end().await;
        assert!(task.done() && !task.cancelled());
        // The first to look gets the payload, later ones its text.
        for _ in 0..2 {
            match task.try_result() {
                Err(ResultError::Task(TaskError::Panicked(panic))) => {
                    assert_eq!(panic.to_string(), "the task panicked: on purpose");
                    assert_eq!(panic.message(), "on purpose");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(task.outcome().await.unwrap_err().is_panic());
        assert_eq!(sibling.await, "fine");
    });
}

#[test]
fn a_panic_goes_on_in_who_awaits() {
    #[derive(Debug, PartialEq)]
    struct Payload(u32);
    everywhere(async || {
        let inner: SharedTask<()> =
            asyncio::create_task(async { std::panic::resume_unwind(Box::new(Payload(7))) }).shared();
        let first = asyncio::create_task(inner.clone()).outcome().await.unwrap_err();
        let second = asyncio::create_task(inner).outcome().await.unwrap_err();
        let (TaskError::Panicked(first), TaskError::Panicked(second)) = (first, second) else { panic!() };
        assert_eq!(*first.into_payload().downcast::<Payload>().unwrap(), Payload(7));
        assert_eq!(second.message(), "a panic whose payload is not a string");
    });
}

#[test]
fn a_panic_is_reported_unless_somebody_looked() {
    async fn fails(delay: u64, text: &'static str) {
        asyncio::sleep(millis(delay)).await;
        resume_unwind(Box::new(text))
    }
    everywhere(async || {
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        asyncio::get_running_loop().set_exception_handler(move |_, context| {
            tell.lock().unwrap().send(context.exception().map(str::to_owned)).unwrap();
        });
        assert!(asyncio::create_task(fails(1, "seen")).outcome().await.is_err());
        // The first failure goes on in who awaits the gather, and the second concerns nobody.
        let gather = asyncio::gather([fails(1, "first"), fails(2, "second")]);
        assert!(asyncio::create_task(gather).outcome().await.is_err());
        drop(asyncio::create_task(fails(3, "unseen")));
        asyncio::sleep(millis(4)).await;
        assert_eq!(told.try_iter().flatten().collect::<Vec<_>>(), ["unseen"]);
    });
}

#[test]
fn callbacks_run_in_the_context_of_who_added_them() {
    static WHO: ContextVar<&str> = ContextVar::new("who");
    everywhere(async || {
        let task = asyncio::create_task(asyncio::sleep(millis(1)));
        let (tell, told) = mpsc::channel();
        WHO.set("who added it");
        task.add_done_callback(move |_| tell.send(WHO.get()).unwrap());
        WHO.set("later");
        task.await;
        asyncio::sleep(millis(1)).await;
        assert_eq!(told.recv().unwrap(), Some("who added it"));
    });
}

#[test]
fn a_task_that_awaits_itself_panics() {
    everywhere(async || {
        let own = Arc::new(OnceLock::<SharedTask<()>>::new());
        let seen = own.clone();
        let task = asyncio::create_task(async move {
            asyncio::sleep(millis(1)).await;
            seen.get().unwrap().clone().await;
        })
        .shared();
        own.set(task.clone()).ok().unwrap();
        task.wait_end().await;
        let Err(ResultError::Task(TaskError::Panicked(panic))) = asyncio_result(&task) else { panic!() };
        assert!(panic.message().contains("a task awaits itself"), "{panic}");
    });
}

/// How a shared task ended.
fn asyncio_result(task: &SharedTask<()>) -> Result<(), ResultError> {
    futures_util::FutureExt::now_or_never(Task::from(task.clone()).outcome())
        .ok_or(ResultError::NotReady)?
        .map_err(ResultError::Task)
}

#[test]
fn local_tasks_stay_on_their_thread() {
    everywhere(async || {
        let shared = Rc::new(Cell::new(0));
        let here = thread::current().id();
        let local = |shared: Rc<Cell<u32>>| async move {
            for i in 0..50 {
                asyncio::sleep(millis(i % 3)).await;
                asyncio::create_task(async {}).await;
                assert_eq!(thread::current().id(), here);
                shared.set(shared.get() + 1);
            }
        };
        let tasks: Vec<_> = (0..10).map(|_| asyncio::create_local_task(local(shared.clone()))).collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(shared.get(), 500);
    });
}

#[test]
fn any_worker_may_have_local_tasks() {
    everywhere(async || {
        let tasks = (0..8).map(|_| async {
            let (here, task) = {
                let value = Rc::new(thread::current().id());
                (
                    *value,
                    asyncio::create_local_task(async move {
                        asyncio::sleep(millis(3)).await;
                        assert_eq!(*value, thread::current().id());
                    }),
                )
            };
            asyncio::sleep(millis(1)).await;
            task.await;
            here
        });
        asyncio::gather(tasks.collect::<Vec<_>>()).await;
    });
}

/// A leaf that is always ready makes its task give way when the budget is spent, so that a sibling's turn comes after a
/// bounded number of operations. (asyncio has no budget, and neither has the flavour with its order.)
#[test]
fn a_task_that_never_waits_gives_way() {
    on(Flavour::Workers(1), async {
        let ready = asyncio::create_task(async {}).shared();
        ready.wait_end().await;
        let (operations, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (operations.clone(), stop.clone());
        let busy = asyncio::create_task(async move {
            while !stopped.load(Relaxed) {
                ready.clone().await;
                count.fetch_add(1, Relaxed);
            }
        });
        let mut last = 0;
        for _ in 0..100 {
            asyncio::yield_now().await;
            let now = operations.load(Relaxed);
            assert!(now - last <= 128, "{} operations in one turn", now - last);
            last = now;
        }
        assert!(last > 0);
        stop.store(true, Relaxed);
        busy.await;
    });
}

#[test]
fn many_tasks_at_once() {
    everywhere(async || {
        let count = if cfg!(miri) { 100 } else { 20_000 };
        let tasks = (0..count).map(|i| async move {
            asyncio::sleep(secs(i % 5)).await;
            asyncio::create_task(async move { i }).await
        });
        let sum: u64 = asyncio::gather(tasks.collect::<Vec<_>>()).await.into_iter().sum();
        assert_eq!(sum, count * (count - 1) / 2);
    });
}

const DEEP: usize = 10_000;

/// A chain of tasks in which each awaits the next; the innermost runs `end`.
fn chain<F>(end: F) -> Task<usize>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut task = asyncio::create_task(async move {
        end.await;
        1
    });
    for _ in 1..DEEP {
        let inner = task;
        task = asyncio::create_task(async move { inner.await + 1 });
    }
    task
}

#[test]
fn a_deep_chain_completes() {
    everywhere(async || assert_eq!(chain(asyncio::sleep(millis(5))).await, DEEP));
}

#[test]
fn a_deep_chain_is_cancelled_from_the_outside_in_and_ends_from_the_inside_out() {
    everywhere(async || {
        let cleaned = Arc::new(AtomicBool::new(false));
        let flag = cleaned.clone();
        let task = chain(asyncio::finally(pending(), async move { flag.store(true, Relaxed) }));
        asyncio::sleep(millis(5)).await;
        assert!(task.cancel());
        assert!(task.outcome().await.unwrap_err().is_cancelled());
        assert!(cleaned.load(Relaxed));
        assert_eq!(asyncio::all_tasks().len(), 1);
    });
}

#[test]
fn a_deep_chain_passes_a_panic_on() {
    everywhere(async || {
        let task = chain(async { std::panic::resume_unwind(Box::new("deep")) });
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!() };
        assert_eq!(panic.message(), "deep");
    });
}

#[test]
fn a_deep_chain_is_dropped_at_the_end_of_its_loop() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder().build().unwrap();
        let task = runner
            .run(async {
                let task = chain(pending());
                asyncio::sleep(millis(5)).await;
                task
            })
            .unwrap();
        runner.close();
        assert!(task.cancelled());
    }
}

#[test]
fn a_deep_nest_of_futures_in_one_task_is_dropped() {
    everywhere(async || {
        fn nest(depth: usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            if depth == 0 { Box::pin(pending()) } else { Box::pin(async move { nest(depth - 1).await }) }
        }
        let task = asyncio::create_task(nest(500));
        asyncio::sleep(millis(1)).await;
        task.cancel();
        assert!(task.outcome().await.unwrap_err().is_cancelled());
    });
}

/// Keeps the wakers that it is polled with.
fn keep_wakers(kept: Arc<Mutex<Vec<Waker>>>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        kept.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    })
}

#[test]
fn wakers_outlive_their_task_and_their_loop() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    for flavour in Flavour::ALL {
        on(flavour, async {
            let task = asyncio::create_task(keep_wakers(kept.clone()));
            asyncio::sleep(millis(1)).await;
            for _ in 0..3 {
                kept.lock().unwrap()[0].wake_by_ref();
                asyncio::sleep(millis(1)).await;
            }
            task.cancel();
            assert!(task.outcome().await.unwrap_err().is_cancelled());
            kept.lock().unwrap()[0].wake_by_ref();
            // Left behind, and cancelled by the end of the loop.
            drop(asyncio::create_local_task(keep_wakers(kept.clone())));
            drop(asyncio::create_task(keep_wakers(kept.clone())));
            asyncio::sleep(millis(1)).await;
        });
        let wakers = std::mem::take(&mut *kept.lock().unwrap());
        assert!(wakers.len() >= 6);
        for waker in wakers {
            let clone = waker.clone();
            assert!(clone.will_wake(&waker));
            clone.wake();
            thread::spawn(move || {
                waker.wake_by_ref();
                drop(waker);
            })
            .join()
            .unwrap();
        }
    }
}

#[test]
fn foreign_threads_wake_tasks() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner
            .run(async {
                let threads = 4;
                let left = Arc::new(AtomicUsize::new(threads));
                let remaining = left.clone();
                let task = asyncio::create_task(poll_fn(move |cx| {
                    if remaining.load(Acquire) == threads {
                        for _ in 0..threads {
                            remaining.fetch_add(100, Relaxed);
                            let (waker, remaining) = (cx.waker().clone(), remaining.clone());
                            thread::spawn(move || {
                                for _ in 0..2000 {
                                    waker.wake_by_ref();
                                }
                                remaining.fetch_sub(101, AcqRel);
                                waker.wake();
                            });
                        }
                    }
                    if remaining.load(Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
                }));
                task.await;
                assert_eq!(left.load(Relaxed), 0);
            })
            .unwrap();
    }
}

#[test]
fn other_executors_await_tasks() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner
            .run(async {
                let task = asyncio::create_task(asyncio::sleep_with(millis(5), 5));
                let outside = thread::spawn(move || block_on(task));
                assert_eq!(asyncio::to_thread(move || outside.join().unwrap()).await, 5);

                let gone: SharedTask<()> = asyncio::create_task(pending()).shared();
                gone.cancel();
                let task = gone.clone();
                let message = asyncio::to_thread(move || panic_message(|| block_on(task))).await;
                assert!(message.contains("outcome()"), "{message}");
                let outcome = asyncio::to_thread(move || block_on(Task::from(gone).outcome())).await;
                assert!(outcome.unwrap_err().is_cancelled());
            })
            .unwrap();
    }
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker's panic"));
        }
    }
    everywhere(async || {
        let task = asyncio::create_task(asyncio::sleep_with(millis(2), "value")).shared();
        let before = asyncio::create_task(task.clone());
        asyncio::sleep(millis(1)).await;
        let mut awaiting = Box::pin(task.clone());
        let waker = Waker::from(Arc::new(Panics));
        assert!(awaiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let after = asyncio::create_task(task.clone());
        assert_eq!(asyncio::gather!(before, after).await, ("value", "value"));
        assert_eq!(awaiting.await, "value");
    });
}

#[test]
fn a_leaf_moves_between_tasks() {
    everywhere(async || {
        let mut sleep = Box::pin(asyncio::sleep(millis(10)));
        let mut task = asyncio::create_task(asyncio::sleep_with(millis(20), 1));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            assert!(std::pin::Pin::new(&mut task).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let moved = asyncio::create_task(async move {
            sleep.await;
            task.await
        });
        assert_eq!(moved.await, 1);
    });
}
