//! `ProcessPoolExecutor`: calls, faults, and what is left behind.
//!
//! This test program is its own worker: its functions run in other processes of it.
#![cfg(feature = "process-pool")]

mod support;

use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use kumihimo as asyncio;
use kumihimo::process::{OnCrash, ProcessPoolBuilder, StartMethod};
use kumihimo::{BrokenProcessPool, ProcessError, ProcessPoolExecutor};
use serde::{Deserialize, Serialize};

const METHODS: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

/// Runs a body on both flavours with both start methods; a pool is made for each.
fn on_all<F>(
    settings: impl Fn(ProcessPoolBuilder) -> ProcessPoolBuilder,
    body: impl Fn(ProcessPoolExecutor) -> F,
) where
    F: Future<Output = ()>,
{
    for method in METHODS {
        for current_thread in [true, false] {
            let mut builder = asyncio::Runner::builder();
            builder = if current_thread { builder.current_thread() } else { builder.worker_threads(2) };
            let runner = builder.build().unwrap();
            let pool = settings(ProcessPoolExecutor::builder().start_method(method)).build().unwrap();
            runner.run(body(pool.clone())).unwrap();
            runner.run(pool.shutdown(true, false)).unwrap();
            assert_eq!(pool.pids(), []);
        }
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn add((a, b): (u64, u64)) -> u64 {
    a + b
}

fn largest<T: Ord>(values: Vec<T>) -> Option<T> {
    values.into_iter().max()
}

fn pid() -> u32 {
    process::id()
}

fn pid_of(_: u64) -> u32 {
    process::id()
}

fn nap(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

fn exit(code: i32) {
    process::exit(code)
}

fn kill_self(signal: i32) {
    // SAFETY: raise takes any number.
    unsafe { libc::raise(signal) };
}

fn broken<T: std::fmt::Debug>(result: Result<T, ProcessError>) -> BrokenProcessPool {
    match result {
        Err(ProcessError::Broken(broken)) => broken,
        other => panic!("not broken: {other:?}"),
    }
}

#[test]
fn functions_of_many_kinds_are_called() {
    on_all(
        |builder| builder.max_workers(2),
        |pool| async move {
            assert_eq!(pool.submit(square, 12).await.unwrap(), 144);
            assert_eq!(pool.submit(add, (2, 3)).await.unwrap(), 5);
            assert_ne!(pool.submit0(pid).await.unwrap(), process::id());
            assert_eq!(pool.submit(largest::<i32>, vec![3, 9, 4]).await.unwrap(), Some(9));
            let words = vec!["b".to_string(), "c".to_string()];
            assert_eq!(pool.submit(largest::<String>, words).await.unwrap().as_deref(), Some("c"));
            assert_eq!(pool.submit(|text: String| text.len(), "four".to_string()).await.unwrap(), 4);
            let event_loop = asyncio::get_running_loop();
            assert_eq!(event_loop.run_in_process(&pool, square, 5).await.unwrap(), 25);
            // Both directions longer than what a socket takes at once.
            let long: Vec<u8> = (0..5_000_000_u32).map(|i| i as u8).collect();
            assert!(pool.submit(|bytes: Vec<u8>| bytes, long.clone()).await.unwrap() == long);
        },
    );
}

#[test]
fn statics_are_each_process_s_own() {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    fn count() -> u64 {
        COUNTER.fetch_add(1, Relaxed) + 1
    }
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            assert_eq!(pool.submit0(count).await.unwrap(), 1);
            assert_eq!(pool.submit0(count).await.unwrap(), 2);
            assert_eq!(COUNTER.load(Relaxed), 0);
        },
    );
}

#[test]
fn an_initializer_runs_once_in_each_process_and_a_process_serves_so_many_calls() {
    static INITIAL: AtomicU64 = AtomicU64::new(0);
    fn initialize(n: u64) {
        INITIAL.fetch_add(n, Relaxed);
    }
    fn initial() -> (u64, u32) {
        (INITIAL.load(Relaxed), process::id())
    }
    on_all(
        |builder| builder.max_workers(1).initializer_with(initialize, 7).max_tasks_per_child(3),
        |pool| async move {
            let mut pids = Vec::new();
            for _ in 0..7 {
                let (n, pid) = pool.submit0(initial).await.unwrap();
                assert_eq!(n, 7);
                pids.push(pid);
            }
            assert!(pids[0] == pids[2] && pids[3] == pids[5], "{pids:?}");
            assert!(pids[2] != pids[3] && pids[5] != pids[6], "{pids:?}");
        },
    );
}

#[test]
fn an_initializer_that_panics_breaks_the_pool() {
    fn initialize() {
        panic!("no database");
    }
    for on_crash in [OnCrash::Break, OnCrash::Restart] {
        on_all(
            |builder| builder.max_workers(2).initializer(initialize).on_crash(on_crash),
            |pool| async move {
                let calls: Vec<_> = (0..8).map(|n| pool.submit(square, n)).collect();
                for call in calls {
                    let text = broken(call.await).to_string();
                    assert!(text.contains("the pool's initializer panicked: no database"), "{text}");
                    assert!(!text.contains('\n'), "{text}");
                }
                let text = broken(pool.submit(square, 1).await).to_string();
                assert!(text.contains("submitted later"), "{text}");
            },
        );
    }
}

#[test]
fn starts_that_fail_are_not_tried_for_ever() {
    fn initialize() {
        process::exit(7);
    }
    on_all(
        |builder| builder.max_workers(3).initializer(initialize).on_crash(OnCrash::Restart),
        |pool| async move {
            for _ in 0..2 {
                let calls: Vec<_> = (0..50).map(|n| pool.submit(square, n)).collect();
                for call in calls {
                    let error = broken(call.await);
                    assert_eq!((error.exit_code(), error.is_own()), (Some(7), false), "{error}");
                    assert!(error.to_string().contains("while it was started"), "{error}");
                }
            }
        },
    );
}

#[test]
fn a_panic_travels_and_the_pool_goes_on() {
    fn fails(n: u64) -> u64 {
        panic!("{n} is too much")
    }
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            let Err(ProcessError::Panicked(panic)) = pool.submit(fails, 3).await else { panic!("no panic") };
            assert_eq!(panic.message(), "3 is too much");
            assert!(panic.location().unwrap().contains("tests/processes.rs"), "{:?}", panic.location());
            assert!(panic.backtrace().unwrap().contains("fails"), "{:?}", panic.backtrace());
            let error = ProcessError::Panicked(panic);
            assert!(!error.to_string().contains('\n'), "{error}");
            assert!(format!("{error:#}").contains("fails"), "{error:#}");
            assert_eq!(pool.submit(square, 3).await.unwrap(), 9);
        },
    );
}

/// A function that dies, its argument, the status and the signal.
type Death = (fn(i32), i32, Option<i32>, Option<i32>);

/// How processes die, and what is to be known of it.
const DEATHS: [Death; 5] = [
    (exit, 3, Some(3), None),
    (|_| process::abort(), 0, None, Some(libc::SIGABRT)),
    (kill_self, libc::SIGKILL, None, Some(libc::SIGKILL)),
    (|depth| assert!(overflow(depth) != 1), 0, None, Some(libc::SIGSEGV)),
    (exhaust_memory, 0, None, Some(libc::SIGABRT)),
];

#[allow(unconditional_recursion)]
fn overflow(depth: i32) -> i32 {
    let place = std::hint::black_box([depth; 1024]);
    overflow(depth + 1) + place[0]
}

fn exhaust_memory(_: i32) {
    let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
    // SAFETY: the pointer is to a local.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    std::hint::black_box(vec![1_u8; 2 << 30]);
}

/// Whether the tests run in a sanitizer.
fn sanitizer() -> bool {
    cfg!(kumihimo_tsan) || std::env::var_os("ASAN_OPTIONS").is_some()
}

#[test]
fn a_death_fails_its_own_call_only_where_processes_are_restarted() {
    on_all(
        |builder| builder.max_workers(2).on_crash(OnCrash::Restart),
        |pool| async move {
            for (f, argument, code, signal) in DEATHS {
                let other = pool.submit(nap, 30);
                let death = broken(pool.submit(f, argument).await);
                let known = (death.exit_code(), death.signal());
                // A sanitizer catches what ends in a signal, says so, and exits with a status of its own.
                let is_sanitizers = sanitizer() && signal.is_some() && known.0.is_some_and(|code| code != 0);
                assert!(known == (code, signal) || is_sanitizers, "{death}");
                assert!(death.is_own() && death.function().is_some(), "{death}");
                assert!(death.submitted_at().unwrap().file().ends_with("processes.rs"), "{death}");
                assert_eq!(other.await.unwrap(), 30);
                assert_eq!(pool.submit(square, 4).await.unwrap(), 16);
            }
        },
    );
}

#[test]
fn a_death_breaks_the_pool_otherwise() {
    on_all(
        |builder| builder.max_workers(2),
        |pool| async move {
            assert_eq!(pool.submit(square, 3).await.unwrap(), 9);
            let (slow, dying) = (pool.submit(nap, 100_000), pool.submit(exit, 3));
            let waiting = pool.submit(square, 3);
            let dying = broken(dying.await);
            assert_eq!((dying.exit_code(), dying.is_own()), (Some(3), true));
            assert!(dying.to_string().contains("exited with code 3"), "{dying}");
            for (call, text) in [(slow, "in another process"), (waiting, "had not begun")] {
                let error = broken(call.await);
                assert_eq!((error.exit_code(), error.is_own()), (Some(3), false));
                assert!(error.to_string().contains(text), "{error}");
            }
            assert!(broken(pool.submit(square, 3).await).to_string().contains("submitted later"));
            assert!(pool.is_shut_down());
        },
    );
}

#[test]
fn a_process_that_dies_at_rest() {
    for on_crash in [OnCrash::Break, OnCrash::Restart] {
        on_all(
            |builder| builder.max_workers(1).on_crash(on_crash),
            |pool| async move {
                let pid = pool.submit0(pid).await.unwrap();
                rustix::process::kill_process(
                    rustix::process::Pid::from_raw(pid as i32).unwrap(),
                    rustix::process::Signal::KILL,
                )
                .unwrap();
                while pool.pids().contains(&pid) {
                    asyncio::sleep(Duration::from_millis(1)).await;
                }
                let result = pool.submit(square, 4).await;
                match on_crash {
                    OnCrash::Restart => assert_eq!(result.unwrap(), 16),
                    OnCrash::Break => {
                        let error = broken(result);
                        assert_eq!((error.signal(), error.pid()), (Some(9), pid));
                        assert!(error.to_string().contains("while it had nothing to do"), "{error}");
                    }
                }
            },
        );
    }
}

/// What encodes and does not decode, or not even that.
#[derive(Debug)]
struct Odd(bool);

impl Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { serializer.serialize_u8(9) } else { Err(serde::ser::Error::custom("it is odd")) }
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Odd, D::Error> {
        u8::deserialize(deserializer)?;
        Err(serde::de::Error::custom("it stays odd"))
    }
}

#[test]
fn what_can_t_be_sent_is_an_error_and_the_pool_goes_on() {
    on_all(
        |builder| builder.max_workers(1).frame_limit(1000),
        |pool| async move {
            let text = |result: Result<(), ProcessError>| match result {
                Err(ProcessError::Unsendable(text)) => text,
                other => panic!("it was sent: {other:?}"),
            };
            let odd = text(pool.submit(drop::<Odd>, Odd(false)).await);
            assert!(odd.contains("the argument of") && odd.contains("was not sent"), "{odd}");
            let odd = text(pool.submit(drop::<Odd>, Odd(true)).await);
            assert!(odd.contains("argument"), "{odd}");
            let odd = text(pool.submit(Odd, true).await.map(drop));
            assert!(odd.contains("the result of") && odd.contains("could not be decoded"), "{odd}");
            let odd = text(pool.submit(Odd, false).await.map(drop));
            assert!(odd.contains("result"), "{odd}");
            let long = text(pool.submit(drop::<Vec<u8>>, vec![1; 1001]).await);
            assert!(long.contains("1003") && long.contains("1000"), "{long}");
            let long = text(pool.submit(|n: usize| vec![1_u8; n], 1001).await.map(drop));
            assert!(long.contains("1003") && long.contains("1000"), "{long}");
            assert_eq!(pool.submit(|bytes: Vec<u8>| bytes.len(), vec![1; 998]).await.unwrap(), 998);
        },
    );
}

#[test]
fn a_function_of_a_library_is_refused() {
    // SAFETY: a function pointer without arguments that returns a number; it is never called here.
    let foreign: fn() -> i32 = unsafe { std::mem::transmute(libc::getpid as *const ()) };
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            match pool.submit0(foreign).await {
                Err(ProcessError::Foreign(text)) => assert!(text.contains("fn() -> i32"), "{text}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(pool.pids(), []);
        },
    );
}

#[test]
fn calls_begin_in_order_and_dropped_ones_never() {
    static ORDER: std::sync::Mutex<Vec<u64>> = std::sync::Mutex::new(Vec::new());
    fn note(n: u64) {
        ORDER.lock().unwrap().push(n);
    }
    fn noted() -> Vec<u64> {
        ORDER.lock().unwrap().clone()
    }
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            let first = pool.submit(nap, 50);
            while !first.running() {
                asyncio::sleep(Duration::from_millis(1)).await;
            }
            let mut calls: Vec<_> = (0..200).map(|n| Some(pool.submit(note, n))).collect();
            assert_eq!(pool.queue_depth(), 200);
            calls.iter_mut().skip(1).step_by(2).for_each(|call| *call = None);
            assert_eq!(pool.queue_depth(), 100);
            for call in calls.into_iter().flatten() {
                call.await.unwrap();
            }
            assert!(first.done());
            let expected: Vec<u64> = (0..200).step_by(2).collect();
            assert_eq!(pool.submit0(noted).await.unwrap(), expected);
        },
    );
}

#[test]
fn a_cancelled_awaiter_loses_nothing_of_others() {
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            let event_loop = asyncio::get_running_loop();
            let begun = event_loop.run_in_process(&pool, nap, 40);
            let other = event_loop.run_in_process(&pool, square, 6);
            let waits = event_loop.run_in_process(&pool, exit, 9);
            asyncio::sleep(Duration::from_millis(20)).await;
            begun.cancel();
            waits.cancel();
            assert_eq!(other.await.unwrap(), 36);
            assert_eq!(pool.submit(square, 7).await.unwrap(), 49);
        },
    );
}

#[test]
fn map_gives_results_in_order() {
    on_all(
        |builder| builder.max_workers(2),
        |pool| async move {
            let expected: Vec<u64> = (0..100).map(square).collect();
            assert_eq!(pool.map(square, 0..100).await.unwrap(), expected);
            assert_eq!(pool.map(square, 0..100).chunksize(7).await.unwrap(), expected);
            assert_eq!(pool.map(square, Vec::new()).await.unwrap(), []);
            let drawn = std::cell::Cell::new(0);
            let items = (0..).inspect(|_| drawn.set(drawn.get() + 1));
            let mut results = pool.map(square, items).chunksize(2).buffersize(10);
            for n in 0..20 {
                assert_eq!(results.next().await.unwrap().unwrap(), square(n));
                assert!(drawn.get() <= n + 12, "{} items were drawn at {n}", drawn.get());
            }
            drop(results);
            let stream: Vec<_> = StreamExt::collect(pool.map(square, 0..3)).await;
            assert_eq!(stream.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 4]);
            let mut results = pool.map(|n: u64| 10 / (5 - n), 0..10);
            for n in 0..5 {
                assert_eq!(results.next().await.unwrap().unwrap(), 10 / (5 - n));
            }
            assert!(matches!(results.next().await, Some(Err(ProcessError::Panicked(_)))));
            assert!(results.next().await.is_none());
        },
    );
}

#[test]
fn recycling_strands_no_call() {
    // CPython's gh-115634, gh-90622 and their like: with one call for each process, and more calls than processes.
    for workers in [1, 2, 4] {
        on_all(
            |builder| builder.max_workers(workers).max_tasks_per_child(1),
            |pool| async move {
                let calls: Vec<_> = (0..24).map(|n| pool.submit(pid_of, n)).collect();
                let mut pids = Vec::new();
                for call in calls {
                    pids.push(call.await.unwrap());
                }
                pids.sort_unstable();
                pids.dedup();
                assert_eq!(pids.len(), 24);
                // One after another, too, with pauses in which the process ends.
                for n in 0..4 {
                    assert_eq!(pool.submit(square, n).await.unwrap(), square(n));
                    asyncio::sleep(Duration::from_millis(3)).await;
                }
            },
        );
    }
}

#[test]
fn a_shutdown_has_the_calls_done_or_withdraws_them() {
    for cancel in [false, true] {
        for method in METHODS {
            asyncio::run(async {
                let pool =
                    ProcessPoolExecutor::builder().max_workers(1).start_method(method).build().unwrap();
                let first = pool.submit(nap, 50);
                while !first.running() {
                    asyncio::sleep(Duration::from_millis(1)).await;
                }
                let second = pool.submit(square, 5);
                pool.shutdown(false, cancel).await;
                assert!(!first.done());
                assert!(matches!(pool.submit(square, 5).await, Err(ProcessError::ShutDown)));
                pool.shutdown(true, false).await;
                assert!(first.done() && second.done());
                assert_eq!(first.await.unwrap(), 50);
                match second.await {
                    Ok(25) if !cancel => {}
                    Err(ProcessError::Cancelled) if cancel => {}
                    other => panic!("{other:?}"),
                }
            });
        }
    }
}

#[test]
fn workers_can_be_killed_and_terminated() {
    for kill in [true, false] {
        on_all(
            |builder| builder.max_workers(2).on_crash(OnCrash::Restart),
            |pool| async move {
                let calls: Vec<_> = (0..2).map(|_| pool.submit(nap, 100_000)).collect();
                while !calls.iter().all(|call| call.running()) {
                    asyncio::sleep(Duration::from_millis(1)).await;
                }
                let waiting = pool.submit(square, 1);
                if kill {
                    pool.kill_workers()
                } else {
                    pool.terminate_workers()
                };
                assert!(matches!(waiting.await, Err(ProcessError::Cancelled)));
                for call in calls {
                    let error = broken(call.await);
                    assert_eq!(
                        error.signal(),
                        Some(if kill { libc::SIGKILL } else { libc::SIGTERM }),
                        "{error}"
                    );
                    assert!(error.to_string().contains("the pool's owner ended"), "{error}");
                }
                assert!(matches!(pool.submit(square, 1).await, Err(ProcessError::ShutDown)));
            },
        );
    }
}

#[test]
fn a_pool_outlives_its_loop() {
    for method in METHODS {
        let pool = ProcessPoolExecutor::builder().max_workers(1).start_method(method).build().unwrap();
        let (pid_before, call) = asyncio::run(async {
            let pid = pool.submit0(pid).await.unwrap();
            let call = pool.submit(nap, 100);
            while !call.running() {
                asyncio::sleep(Duration::from_millis(1)).await;
            }
            (pid, call)
        });
        // Awaited in another loop, while the first has ended in the middle of it.
        assert_eq!(asyncio::run(call).unwrap(), 100);
        let error = asyncio::run(pool.submit0(pid)).unwrap_err().to_string();
        assert!(error.contains("no loop runs"), "{error}");
        assert_eq!(asyncio::run(async { pool.submit0(pid).await }).unwrap(), pid_before);
        asyncio::run(pool.shutdown(true, false));
    }
}

#[test]
fn a_loop_that_stands_still_holds_nobody_up() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let first = asyncio::Runner::builder().current_thread().build().unwrap();
    let pid_first = first.run(async { pool.submit0(pid).await.unwrap() }).unwrap();
    let mut call = None;
    first.run(async { call = Some(pool.submit(nap, 20)) }).unwrap();
    let second = asyncio::Runner::builder().worker_threads(2).build().unwrap();
    assert_eq!(second.run(async { pool.submit0(pid).await.unwrap() }).unwrap(), pid_first);
    assert_eq!(first.run(call.unwrap()).unwrap().unwrap(), 20);
    assert_eq!(first.run(async { pool.submit0(pid).await.unwrap() }).unwrap(), pid_first);
}

#[test]
fn two_loops_at_a_time_and_a_thread_share_a_pool() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    // A thread without a loop needs the pool's home, which is one of the loops: none may end before all are done.
    let together = Arc::new(asyncio::Barrier::new(3));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (pool, together) = (pool.clone(), together.clone());
            thread::spawn(move || {
                asyncio::run(async {
                    for n in 0..200 {
                        assert_eq!(pool.submit(square, n).await.unwrap(), square(n));
                    }
                    let pool = pool.clone();
                    let submitted = asyncio::to_thread(move || pool.submit(square, 9)).await;
                    assert_eq!(submitted.await.unwrap(), 81);
                    together.wait().await.unwrap();
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn without_a_loop_there_is_an_error() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let call = pool.submit(square, 1);
    assert!(call.done());
    let error = futures_util::FutureExt::now_or_never(call).unwrap().unwrap_err();
    assert!(matches!(error, ProcessError::NoLoop) && error.to_string().contains("kumihimo::run"), "{error}");
}

#[test]
fn a_paused_clock_waits_for_calls() {
    let runner = asyncio::Runner::builder().start_paused(true).build().unwrap();
    runner
        .run(async {
            let pool = ProcessPoolExecutor::new(1).unwrap();
            let start = asyncio::get_running_loop().time();
            let call = pool.submit(nap, 30);
            let late = asyncio::timeout(Duration::from_secs(1), async |_| call.await.unwrap()).await;
            assert_eq!(late.unwrap(), 30);
            assert_eq!(start.elapsed(), Duration::ZERO);
        })
        .unwrap();
}

#[test]
fn processes_have_pools_and_loops_of_their_own() {
    fn outer(n: u64) -> u64 {
        asyncio::run(async move {
            let pool = ProcessPoolExecutor::new(1).unwrap();
            let there = asyncio::to_thread(move || n + 1).await;
            pool.submit(square, there).await.unwrap()
        })
    }
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move { assert_eq!(pool.submit(outer, 3).await.unwrap(), 16) },
    );
}

#[test]
fn ends_without_a_shutdown() {
    for method in METHODS {
        let pids = asyncio::run(async {
            let pool = ProcessPoolExecutor::builder().max_workers(2).start_method(method).build().unwrap();
            assert_eq!(pool.submit(square, 3).await.unwrap(), 9);
            let call = pool.submit(nap, 100_000);
            while !call.running() {
                asyncio::sleep(Duration::from_millis(1)).await;
            }
            pool.pids()
        });
        // The one that rested goes as soon as it likes, the other with the last that could have wanted its result.
        for pid in pids {
            support::processes::wait_gone(pid);
        }
    }
}
