//! Blocking functions in executors: the rules EXE and RUN-08 of asyncio.

mod support;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::{
    ContextVar, Executor, ExecutorJob, TaskError, ThreadPoolExecutor, catch_cancelled, get_running_loop,
    run_coroutine_threadsafe, to_thread,
};
use support::{Flavour, everywhere, millis, panic_message, secs, until, within_patience};

/// Longer than anything here takes; only a hanging test waits for it.
const LONG: Duration = Duration::from_secs(20);

static VAR: ContextVar<&str> = ContextVar::with_default("var", "unset");

/// A function that tells when it has begun, and runs until the sender is dropped.
fn gate<T: Send>(value: T) -> (impl FnOnce() -> T + Send, Receiver<()>, Sender<()>) {
    let (began, begun) = channel();
    let (end, ended) = channel::<()>();
    let f = move || {
        began.send(()).unwrap();
        let _ = ended.recv();
        value
    };
    (f, begun, end)
}

// === run_in_executor ===

/// EXE-01, EXE-12, EXE-14.
#[test]
fn a_function_runs_in_a_pool_thread_at_once_while_the_loop_goes_on() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let (function, begun, end) = gate(thread::current().id());
        // Nobody awaits it yet.
        let task = event_loop.run_in_executor(None, move || {
            assert!(asyncio::try_get_running_loop().is_none());
            (function(), thread::current().id())
        });
        begun.recv_timeout(LONG).expect("it was submitted at the call");
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        event_loop.call_soon(move || _ = count.fetch_add(1, Ordering::SeqCst));
        until("the loop goes on", || calls.load(Ordering::SeqCst) == 1).await;
        assert!(!task.done());
        drop(end);
        let (here, there) = task.await;
        assert_ne!(here, there);
    });
}

/// EXE-02.
#[test]
fn errors_and_panics_come_at_the_await() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let failed: Result<(), _> = event_loop.run_in_executor(None, || Err("no such file")).await;
        assert_eq!(failed, Err("no such file"));
        let panicked = event_loop.run_in_executor(None, || -> u8 { panic!("in the thread") }).outcome().await;
        let Err(TaskError::Panicked(error)) = panicked else { panic!("{panicked:?}") };
        assert_eq!(error.message(), "in the thread");
    });
}

/// EXE-03, EXE-07.
#[test]
fn only_to_thread_carries_context_variables() {
    everywhere(|| async {
        VAR.set("main");
        let change = || {
            let seen = VAR.get().unwrap();
            VAR.set("changed");
            seen
        };
        assert_eq!(to_thread(change).await, "main");
        let event_loop = get_running_loop();
        assert_eq!(event_loop.run_in_executor(None, change).await, "unset");
        let pool = ThreadPoolExecutor::new(1);
        for _ in 0..2 {
            assert_eq!(event_loop.run_in_executor(&pool, || VAR.get().unwrap()).await, "unset");
        }
        assert_eq!(VAR.get(), Some("main"));
    });
}

/// EXE-04.
#[test]
fn jobs_run_in_parallel_up_to_the_size_and_queue_in_order() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let pool = ThreadPoolExecutor::new(3);
        let barrier = Arc::new(Barrier::new(3));
        let jobs = [(); 3].map(|()| {
            let barrier = barrier.clone();
            event_loop.run_in_executor(&pool, move || _ = barrier.wait())
        });
        asyncio::gather(jobs).await;

        let pool = ThreadPoolExecutor::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = (0..50)
            .map(|n| {
                let order = order.clone();
                event_loop.run_in_executor(&pool, move || order.lock().unwrap().push(n))
            })
            .collect();
        asyncio::gather(jobs).await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    });
}

/// EXE-05.
#[test]
fn a_function_that_has_begun_runs_on_when_its_task_is_cancelled() {
    everywhere(|| async {
        let pool = ThreadPoolExecutor::new(1);
        let ran = Arc::new(AtomicBool::new(false));
        let result = Arc::new(());
        let (function, begun, end) = gate(result.clone());
        let flag = ran.clone();
        let task = get_running_loop().run_in_executor(&pool, move || {
            let result = function();
            flag.store(true, Ordering::SeqCst);
            result
        });
        begun.recv_timeout(LONG).unwrap();
        asyncio::yield_now().await;
        task.cancel();
        assert!(catch_cancelled(task).await.is_err());
        assert!(!ran.load(Ordering::SeqCst));
        drop(end);
        pool.shutdown(true, false).await;
        assert!(ran.load(Ordering::SeqCst));
        assert_eq!(Arc::strong_count(&result), 1, "its result is dropped");
    });
}

/// EXE-06.
#[test]
fn a_function_that_has_not_begun_never_runs_when_its_task_is_cancelled() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let pool = ThreadPoolExecutor::new(1);
        let (function, begun, end) = gate(1);
        let first = event_loop.run_in_executor(&pool, function);
        begun.recv_timeout(LONG).unwrap();
        let captured = Arc::new(());
        let submit = || {
            let held = captured.clone();
            event_loop.run_in_executor(&pool, move || {
                let _held = held;
                unreachable!("withdrawn")
            })
        };
        // One whose task has not begun, one that waits, and one that somebody else awaits.
        let (unbegun, waiting, awaited) = (submit(), submit(), submit());
        unbegun.cancel();
        for _ in 0..3 {
            asyncio::yield_now().await;
        }
        waiting.cancel();
        let awaiter = asyncio::create_task(awaited);
        for _ in 0..3 {
            asyncio::yield_now().await;
        }
        awaiter.cancel();
        for task in [unbegun, waiting, awaiter] {
            let _: Result<(), _> = catch_cancelled(task).await;
        }
        until("all are withdrawn", || Arc::strong_count(&captured) == 1).await;
        drop(end);
        assert_eq!(first.await, 1, "others lose nothing");
        pool.shutdown(true, false).await;
        assert_eq!(pool.metrics().completed, 1);
    });
}

#[test]
fn a_pool_that_withdraws_cancels_the_task() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let pool = ThreadPoolExecutor::new(1);
        let (function, begun, end) = gate(1);
        let first = event_loop.run_in_executor(&pool, function);
        begun.recv_timeout(LONG).unwrap();
        let second = event_loop.run_in_executor(&pool, || ());
        drop(pool.shutdown(false, true));
        assert!(matches!(second.outcome().await, Err(TaskError::Cancelled(_))));
        drop(end);
        assert_eq!(first.await, 1);
    });
}

#[test]
fn a_job_that_a_task_awaits_raises_where_it_was_withdrawn() {
    everywhere(|| async {
        let pool = ThreadPoolExecutor::new(1);
        let (function, begun, end) = gate(());
        let first = pool.submit(function);
        begun.recv_timeout(LONG).unwrap();
        let mut cancelled = pool.submit(|| 1);
        assert!(cancelled.cancel());
        assert!(catch_cancelled(cancelled).await.is_err());
        let mut map = pool.map(|n| n, [1, 2]);
        drop(pool.shutdown(false, true));
        assert!(catch_cancelled(map.next()).await.is_err());
        assert!(catch_cancelled(async { map.await }).await.is_err());
        drop(end);
        first.await;
    });
}

#[test]
fn a_cancelled_map_keeps_the_values_that_were_not_fetched() {
    everywhere(|| async {
        let pool = ThreadPoolExecutor::new(1);
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let mut map = pool.map(
            move |n| {
                let _ = gate.lock().unwrap().recv();
                n
            },
            [1, 2],
        );
        let fetch = asyncio::current_task().unwrap();
        get_running_loop().call_soon(move || _ = fetch.cancel());
        assert!(catch_cancelled(map.next()).await.is_err());
        drop(go);
        assert_eq!(map.next().await, Some(1));
        assert_eq!(map.await, [2]);
    });
}

// === executors ===

/// Runs jobs on a thread of their own; refuses when told to.
#[derive(Default)]
struct Own {
    full: AtomicBool,
    drops: AtomicBool,
}

impl Executor for Own {
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.full.load(Ordering::SeqCst) {
            return Err("there is no room".into());
        }
        if !self.drops.load(Ordering::SeqCst) {
            thread::Builder::new().name("own".into()).spawn(|| job.run())?;
        }
        Ok(())
    }
}

/// EXE-08.
#[test]
fn executors_of_the_users_own() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let own = Arc::new(Own::default());
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(event_loop.run_in_executor(&own, name).await.as_deref(), Some("own"));
        assert_eq!(event_loop.run_in_executor(&*own, name).await.as_deref(), Some("own"));
        let erased: &(dyn Executor + Send + Sync) = &*own;
        assert_eq!(event_loop.run_in_executor(erased, name).await.as_deref(), Some("own"));
        let panicked = event_loop.run_in_executor(&own, || -> u8 { panic!("there") }).outcome().await;
        assert!(matches!(panicked, Err(TaskError::Panicked(_))));

        own.drops.store(true, Ordering::SeqCst);
        let dropped = event_loop.run_in_executor(&own, name).outcome().await;
        assert!(matches!(dropped, Err(TaskError::Cancelled(_))), "nobody hangs");

        own.full.store(true, Ordering::SeqCst);
        let error = event_loop.try_run_in_executor(&own, name).unwrap_err();
        assert_eq!(error.to_string(), "the executor refused the job: there is no room");
        let text = panic_message(|| drop(event_loop.run_in_executor(&own, name)));
        assert!(text.contains("there is no room"), "{text}");
    });
}

#[test]
fn a_pool_that_is_over_refuses() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let pool = ThreadPoolExecutor::new(1);
        pool.shutdown(true, false).await;
        let text = panic_message(|| drop(event_loop.run_in_executor(&pool, || ())));
        assert!(text.contains("its thread pool is shut down"), "{text}");

        let pool = ThreadPoolExecutor::builder().initializer(|| panic!("no licence")).build();
        let outcome = event_loop.run_in_executor(&pool, || ()).outcome().await;
        let Err(TaskError::Panicked(error)) = outcome else { panic!("{outcome:?}") };
        assert!(error.message().contains("no licence"), "{error}");
        let error = event_loop.try_run_in_executor(&pool, || ()).unwrap_err();
        assert!(error.to_string().contains("no licence"), "{error}");
    });
}

// === the default executor ===

fn named(name: &str) -> ThreadPoolExecutor {
    ThreadPoolExecutor::builder().max_workers(1).thread_name(name).build()
}

/// EXE-08.
#[test]
fn the_default_executor_is_what_was_set_last() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let name = || thread::current().name().map(str::to_owned).unwrap();
        assert_eq!(to_thread(name).await, "kumihimo-pool-0");
        for pool in ["first", "second"] {
            event_loop.set_default_executor(named(pool));
            let expected = format!("{pool}-0");
            assert_eq!(to_thread(name).await, expected);
            assert_eq!(event_loop.run_in_executor(None, name).await, expected);
            // On every worker.
            let tasks = (0..16).map(|_| asyncio::create_task(async move { to_thread(name).await }));
            for seen in asyncio::gather(tasks.collect::<Vec<_>>()).await {
                assert_eq!(seen, expected);
            }
            let elsewhere = event_loop.clone();
            let from_outside = thread::spawn(move || elsewhere.run_in_executor(None, name)).join().unwrap();
            assert_eq!(from_outside.await, expected);
        }
    });
}

#[test]
fn after_its_shutdown_there_is_no_default_executor() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let pool = ThreadPoolExecutor::new(1);
        event_loop.set_default_executor(pool.clone());
        let lazy = event_loop.shutdown_default_executor(None);
        let (function, begun, end) = gate(1);
        let running = event_loop.run_in_executor(None, function);
        begun.recv_timeout(LONG).unwrap();
        let shutdown = asyncio::create_task(lazy);
        assert!(!pool.is_shut_down(), "nothing happens before the await");
        until("the shutdown begins", || pool.is_shut_down()).await;
        assert!(!shutdown.done(), "it waits");
        drop(end);
        shutdown.await.unwrap();
        assert_eq!(running.await, 1);

        event_loop.set_default_executor(ThreadPoolExecutor::new(1));
        let text = panic_message(|| drop(event_loop.run_in_executor(None, || ())));
        assert!(text.contains("executor shutdown has been called"), "{text}");
        let outcome = asyncio::create_task(to_thread(|| ())).outcome().await;
        let Err(TaskError::Panicked(error)) = outcome else { panic!("{outcome:?}") };
        assert!(error.message().contains("executor shutdown has been called"), "{error}");
        event_loop.shutdown_default_executor(Some(secs(1))).await.unwrap();
    });
}

#[test]
fn a_shutdown_that_takes_too_long_is_an_error() {
    for flavour in [Flavour::CurrentThread, Flavour::Workers(2)] {
        within_patience(flavour, || {
            // In real time: a paused clock waits for the job.
            let runner = flavour.builder_in_real_time().build().unwrap();
            runner
                .run(async {
                    let event_loop = get_running_loop();
                    let (function, begun, end) = gate(1);
                    let running = event_loop.run_in_executor(None, function);
                    begun.recv_timeout(LONG).unwrap();
                    event_loop.shutdown_default_executor(Some(millis(5))).await.unwrap_err();
                    assert!(!running.done());
                    drop(end);
                    event_loop.shutdown_default_executor(None).await.unwrap();
                    assert_eq!(running.await, 1);
                })
                .unwrap();
        });
    }
}

#[test]
fn on_a_paused_clock_a_shutdown_does_not_time_out() {
    for _ in 0..50 {
        everywhere(|| async {
            to_thread(|| ()).await;
            let event_loop = get_running_loop();
            event_loop.shutdown_default_executor(Some(millis(1))).await.expect("no time passes");
        });
    }
}

/// RUN-08.
#[test]
fn the_end_of_a_run_waits_for_the_default_executor_of_then() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            let runner = flavour.builder().build().unwrap();
            let pool = ThreadPoolExecutor::new(2);
            let given = pool.clone();
            let ends = runner.run(async move {
                let event_loop = get_running_loop();
                event_loop.set_default_executor(given);
                let unawaited = gate(());
                drop(event_loop.run_in_executor(None, unawaited.0));
                let cancelled = gate(());
                let task = event_loop.run_in_executor(None, cancelled.0);
                for begun in [unawaited.1, cancelled.1] {
                    begun.recv_timeout(LONG).unwrap();
                }
                task.cancel();
                [unawaited.2, cancelled.2]
            });
            let _ender = thread::spawn(move || {
                thread::sleep(millis(5));
                drop(ends);
            });
            assert_eq!((pool.threads(), pool.metrics().completed), (2, 0));
            runner.close();
            assert_eq!((pool.threads(), pool.metrics().completed, pool.is_shut_down()), (0, 2, true));
        });
    }
}

#[test]
fn the_end_of_a_run_shuts_a_default_executor_down_that_has_no_threads() {
    let runner = Flavour::CurrentThread.builder().build().unwrap();
    let pool = ThreadPoolExecutor::new(1);
    runner.get_loop().set_default_executor(pool.clone());
    runner.close();
    assert!(pool.is_shut_down());
}

/// EXE-11.
#[test]
fn closing_a_loop_does_not_wait() {
    within_patience("a loop run by hand", || {
        let event_loop = Flavour::CurrentThread.builder().build_event_loop().unwrap();
        let pool = ThreadPoolExecutor::new(1);
        event_loop.set_default_executor(pool.clone());
        let (function, begun, end) = gate(());
        let running = event_loop.run_in_executor(None, function);
        begun.recv_timeout(LONG).unwrap();
        event_loop.close();
        assert!(pool.is_shut_down() && pool.threads() == 1);
        assert!(running.done());
        let text = panic_message(|| drop(event_loop.run_in_executor(None, || ())));
        assert!(text.contains("loop is closed"), "{text}");
        drop(end);
        pool.shutdown(true, false).wait();
    });
}

/// EXE-13.
#[test]
fn a_thread_hands_work_back() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let promise = event_loop.create_future();
        let (here, answer) = (event_loop.clone(), promise.clone());
        let task = event_loop.run_in_executor(None, move || {
            here.call_soon_threadsafe(move || answer.set_result("called").unwrap());
            run_coroutine_threadsafe(async { "run" }, &here).result(Some(LONG)).unwrap()
        });
        assert_eq!(promise.await, "called");
        assert_eq!(task.await, "run");
    });
}

// === many ===

/// Each of many jobs, some cancelled at random, ran at most once, and exactly once if its task was not cancelled.
#[test]
fn ten_thousand_jobs_with_random_cancels() {
    const JOBS: usize = 10_000;
    for flavour in [Flavour::CurrentThread, Flavour::Workers(2)] {
        within_patience(flavour, || {
            let runner = flavour.builder().build().unwrap();
            let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..JOBS).map(|_| AtomicUsize::new(0)).collect());
            let counts = runs.clone();
            let cancelled = runner
                .run(async move {
                    let event_loop = get_running_loop();
                    let mut seed = 88_172_645_463_325_252_u64;
                    let mut cancelled = Vec::new();
                    for batch in 0..JOBS / 100 {
                        let mut tasks = Vec::new();
                        for n in batch * 100..(batch + 1) * 100 {
                            let counts = counts.clone();
                            tasks.push(event_loop.run_in_executor(None, move || {
                                counts[n].fetch_add(1, Ordering::SeqCst);
                                n
                            }));
                        }
                        for (at, task) in tasks.iter().enumerate() {
                            seed ^= seed << 13;
                            seed ^= seed >> 7;
                            seed ^= seed << 17;
                            match seed % 4 {
                                0 => _ = task.cancel(),
                                1 if at % 16 == 0 => asyncio::yield_now().await,
                                _ => {}
                            }
                        }
                        for (at, task) in tasks.into_iter().enumerate() {
                            let n = batch * 100 + at;
                            match task.outcome().await {
                                Ok(value) => assert_eq!(value, n),
                                Err(error) => {
                                    assert!(matches!(error, TaskError::Cancelled(_)), "{error}");
                                    cancelled.push(n);
                                }
                            }
                        }
                    }
                    cancelled
                })
                .unwrap();
            runner.close();
            for (n, times) in runs.iter().enumerate() {
                let times = times.load(Ordering::SeqCst);
                assert!(times <= 1, "job {n} ran {times} times");
                assert!(times == 1 || cancelled.contains(&n), "job {n} is lost");
            }
            assert!(!cancelled.is_empty() && cancelled.len() < JOBS / 2);
        });
    }
}
