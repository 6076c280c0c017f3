//! The executor by itself, without time or readiness.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kumihimo_executor::{
    Builder, ParkDriver, Runtime, all_tasks, create_local_task, create_task, current_task, yield_now,
};

fn runtimes() -> Vec<Runtime> {
    let builders =
        [Builder::new().current_thread(), Builder::new().worker_threads(1), Builder::new().worker_threads(4)];
    builders.into_iter().map(|builder| builder.build(Arc::new(ParkDriver::default())).unwrap()).collect()
}

fn everywhere<F: AsyncFn() -> T, T>(f: F) {
    for runtime in runtimes() {
        runtime.block_on(f(), |_| {}).unwrap();
    }
}

#[test]
fn a_task_gives_its_value() {
    everywhere(async || assert_eq!(create_task(async { 1 + 1 }).await, 2));
}

#[test]
fn main_needs_neither_send_nor_static() {
    for runtime in runtimes() {
        let local = Rc::new(Cell::new(1));
        let borrowed = &local;
        let value = runtime.block_on(
            async move {
                yield_now().await;
                borrowed.set(borrowed.get() + 1);
                borrowed.get()
            },
            |_| {},
        );
        assert_eq!(value.unwrap(), 2);
    }
}

#[test]
fn many_tasks_all_run() {
    everywhere(async || {
        let count = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..10_000)
            .map(|i| {
                let count = count.clone();
                create_task(async move {
                    if i % 3 == 0 {
                        yield_now().await;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    i
                })
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, i);
        }
        assert_eq!(count.load(Ordering::Relaxed), 10_000);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn local_tasks_stay_on_their_thread() {
    everywhere(async || {
        let thread = std::thread::current().id();
        let shared = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let shared = shared.clone();
                create_local_task(async move {
                    for _ in 0..10 {
                        yield_now().await;
                        create_task(async {}).await;
                        assert_eq!(std::thread::current().id(), thread);
                    }
                    shared.set(shared.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(shared.get(), 100);
    });
}

#[test]
fn cancelling_ends_a_suspended_task() {
    everywhere(async || {
        let task = create_task(std::future::pending::<()>());
        yield_now().await;
        assert!(task.cancel_with("enough"));
        let error = task.outcome().await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.to_string(), "the task was cancelled: enough");
    });
}

#[test]
fn cancelling_travels_to_the_innermost_task() {
    everywhere(async || {
        let inner = create_task(std::future::pending::<()>());
        let inner_handle = inner.handle();
        let outer = create_task(async move {
            let value: () = inner.await;
            value
        });
        while !matches!(outer.cancelling(), 1) {
            yield_now().await;
            yield_now().await;
            outer.cancel();
        }
        assert!(outer.outcome().await.unwrap_err().is_cancelled());
        assert!(inner_handle.cancelled());
    });
}

#[test]
fn a_panic_goes_on_in_the_awaiter() {
    everywhere(async || {
        let task = create_task(async { panic!("on purpose") });
        let error = task.outcome().await.unwrap_err();
        assert_eq!(error.to_string(), "the task panicked: on purpose");
    });
}

#[test]
fn a_task_can_be_awaited_many_times() {
    everywhere(async || {
        let task = create_task(async {
            yield_now().await;
            "value".to_owned()
        });
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let shared = (&task).into_future();
                create_task(shared)
            })
            .collect();
        assert_eq!((&task).await, "value");
        for waiter in waiters {
            assert_eq!(waiter.await, "value");
        }
        assert_eq!(task.await, "value");
    });
}

#[test]
fn current_task_knows_names_and_sites() {
    everywhere(async || {
        let main = current_task().unwrap();
        assert!(main.name().starts_with("Task-"));
        let id = main.id();
        let task = create_task(async move {
            let me = current_task().unwrap();
            assert_eq!(me.parent_id(), Some(id));
            me.set_name("renamed");
            me.name()
        });
        assert!(task.created_at().file().ends_with("basics.rs"));
        assert_eq!(task.await, "renamed");
    });
}

#[test]
fn unfinished_tasks_are_dropped_with_the_runtime() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for runtime in runtimes() {
        let dropped = Arc::new(AtomicUsize::new(0));
        runtime
            .block_on(
                async {
                    for _ in 0..100 {
                        let guard = OnDrop(dropped.clone());
                        drop(create_task(async move {
                            let _guard = guard;
                            std::future::pending::<()>().await;
                        }));
                        let guard = OnDrop(dropped.clone());
                        drop(create_local_task(async move {
                            let _guard = guard;
                            std::future::pending::<()>().await;
                        }));
                    }
                },
                |_| {},
            )
            .unwrap();
        drop(runtime);
        assert_eq!(dropped.load(Ordering::Relaxed), 200);
    }
}

#[test]
fn wakers_may_outlive_the_runtime() {
    for runtime in runtimes() {
        let waker = runtime.block_on(
            async {
                let task = create_task(std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())));
                task.await
            },
            |_| {},
        );
        drop(runtime);
        let waker = waker.unwrap();
        waker.wake_by_ref();
        std::thread::spawn(move || waker.wake()).join().unwrap();
    }
}

#[test]
fn foreign_threads_wake_and_spawn() {
    for runtime in runtimes() {
        let scheduler = runtime.scheduler();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            for i in 0..100 {
                send.send(scheduler.spawn(async move { i })).unwrap();
                if i % 10 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        let sum = runtime.block_on(
            async {
                let mut sum = 0;
                while let Ok(task) = receive.recv() {
                    sum += task.await;
                }
                sum
            },
            |_| {},
        );
        assert_eq!(sum.unwrap(), 4950);
        thread.join().unwrap();
    }
}

#[test]
fn tasks_left_go_on_in_the_next_block_on() {
    for runtime in runtimes() {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        runtime
            .block_on(
                async {
                    drop(create_task(async move {
                        for _ in 0..3 {
                            yield_now().await;
                        }
                        counter.fetch_add(1, Ordering::Relaxed);
                    }));
                },
                |_| {},
            )
            .unwrap();
        runtime
            .block_on(
                async {
                    while count.load(Ordering::Relaxed) == 0 {
                        yield_now().await;
                    }
                },
                |_| {},
            )
            .unwrap();
    }
}

#[test]
fn tasks_that_await_each_other_can_be_cancelled() {
    use std::sync::OnceLock;

    use kumihimo_executor::SharedTask;

    everywhere(async || {
        let cells: Arc<[OnceLock<SharedTask<()>>; 2]> = Arc::new([OnceLock::new(), OnceLock::new()]);
        let tasks: Vec<_> = (0..2)
            .map(|i| {
                let cells = cells.clone();
                create_task(async move {
                    while cells[1 - i].get().is_none() {
                        yield_now().await;
                    }
                    let other = cells[1 - i].get().unwrap().clone();
                    other.await
                })
            })
            .collect();
        for (cell, task) in cells.iter().zip(&tasks) {
            assert!(cell.set(task.into_future()).is_ok());
        }
        for _ in 0..100 {
            yield_now().await;
        }
        tasks[0].cancel();
        for task in tasks {
            assert!(task.outcome().await.unwrap_err().is_cancelled());
        }
    });
}
