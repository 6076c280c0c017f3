//! Calls that a process was sent ahead: they can be had back as long as they have not begun.
#![cfg(feature = "process-pool")]

mod support;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::process::{OnCrash, ProcessJob, ProcessPoolBuilder, StartMethod};
use kumihimo::{ProcessError, ProcessPoolExecutor, Runner};

/// Runs a body with both start methods, on one thread and on several.
fn on_all<F>(
    settings: impl Fn(ProcessPoolBuilder) -> ProcessPoolBuilder,
    body: impl Fn(ProcessPoolExecutor) -> F + Sync,
) where
    F: Future<Output = ()>,
{
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        for runner in [Runner::builder().current_thread(), Runner::builder().worker_threads(2)] {
            let runner = runner.build().unwrap();
            let pool = settings(ProcessPoolExecutor::builder().start_method(method)).build().unwrap();
            runner.run(within_patience_of(body(pool.clone()))).unwrap();
            runner.run(within_patience_of(pool.shutdown(true, true))).unwrap();
        }
    }
}

async fn within_patience_of<F: Future>(future: F) -> F::Output {
    asyncio::timeout(Duration::from_secs(30), async |_| future.await).await.expect("it hangs")
}

fn nap(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

fn quick(n: u64) -> u64 {
    n + 1
}

static COUNT: AtomicU64 = AtomicU64::new(0);

fn count() -> u64 {
    COUNT.fetch_add(1, Relaxed) + 1
}

/// Makes the pool know its one process for a fast one, which gets calls ahead from now on.
async fn warm_up(pool: &ProcessPoolExecutor) {
    for n in 0..50 {
        assert_eq!(pool.submit(quick, n).await.unwrap(), n + 1);
    }
}

/// Has two processes started.
async fn start_two(pool: &ProcessPoolExecutor) {
    for call in [pool.submit(nap, 20), pool.submit(nap, 20)] {
        call.await.unwrap();
    }
}

async fn begins<R>(call: &ProcessJob<R>) {
    while !call.running() {
        asyncio::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn are_withdrawn_with_their_handles() {
    on_all(
        |builder| builder.max_workers(1),
        |pool| async move {
            warm_up(&pool).await;
            let long = pool.submit(nap, 50);
            let mut calls: Vec<_> = (0..6).map(|_| Some(pool.submit0(count))).collect();
            begins(&long).await;
            assert!(calls.iter().flatten().all(|call| !call.running()));
            calls.iter_mut().step_by(2).for_each(|call| *call = None);
            assert_eq!(long.await.unwrap(), 50);
            for (n, call) in (1..).zip(calls.into_iter().flatten()) {
                assert_eq!(call.await.unwrap(), n, "the others never ran");
            }
        },
    );
}

#[test]
fn are_cancelled_by_a_shutdown_and_by_the_end_of_the_workers() {
    fn deaf_nap(ms: u64) -> u64 {
        // SAFETY: to ignore a signal is allowed at any time.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        nap(ms)
    }
    let ends: [fn(&ProcessPoolExecutor); 3] = [
        |pool| drop(pool.shutdown(false, true)),
        |pool| pool.terminate_workers(),
        |pool| pool.kill_workers(),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        on_all(
            |builder| builder.max_workers(1),
            |pool| async move {
                warm_up(&pool).await;
                let long = pool.submit(deaf_nap, 100);
                let mut calls: Vec<_> = (0..4).map(|_| pool.submit0(count)).collect();
                begins(&long).await;
                asyncio::sleep(Duration::from_millis(20)).await;
                end(&pool);
                drop(calls.remove(1));
                for call in calls {
                    assert!(matches!(call.await, Err(ProcessError::Cancelled)));
                }
                match long.await {
                    Ok(100) if index < 2 => {}
                    Err(ProcessError::Broken(death)) if index == 2 => assert_eq!(death.signal(), Some(9)),
                    other => panic!("{other:?}"),
                }
            },
        );
    }
}

#[test]
fn are_not_stuck_behind_a_long_one() {
    on_all(
        |builder| builder.max_workers(2),
        |pool| async move {
            start_two(&pool).await;
            warm_up(&pool).await;
            let long = pool.submit(nap, 20_000);
            let calls: Vec<_> = (0..40).map(|n| pool.submit(quick, n)).collect();
            for call in calls {
                call.await.unwrap();
            }
            assert!(!long.done(), "they did not wait for the long call");
            pool.kill_workers();
        },
    );
}

#[test]
fn go_to_the_process_that_takes_a_dead_one_s_place() {
    fn nap_and_exit(ms: u64) -> u64 {
        nap(ms);
        std::process::exit(3)
    }
    for max_tasks in [None, Some(60)] {
        on_all(
            |builder| match max_tasks {
                None => builder.max_workers(2).on_crash(OnCrash::Restart),
                Some(max) => builder.max_workers(2).max_tasks_per_child(max),
            },
            |pool| async move {
                start_two(&pool).await;
                let first =
                    if max_tasks.is_none() { pool.submit(nap_and_exit, 150) } else { pool.submit(nap, 150) };
                begins(&first).await;
                warm_up(&pool).await;
                let long = pool.submit(nap, 20_000);
                let calls: Vec<_> = (0..5).map(|n| pool.submit(quick, n)).collect();
                assert_eq!(first.await.is_ok(), max_tasks.is_some());
                for call in calls {
                    call.await.unwrap();
                }
                assert!(!long.done(), "they did not wait for the long call");
                pool.kill_workers();
            },
        );
    }
}

#[test]
fn may_be_many_while_processes_die() {
    on_all(
        |builder| builder.max_workers(2).on_crash(OnCrash::Restart).max_tasks_per_child(100),
        |pool| async move {
            let calls: Vec<_> = (0..3000)
                .map(|n| {
                    if n % 500 == 499 {
                        pool.submit(|_| std::process::exit(4), n)
                    } else {
                        pool.submit(quick, n)
                    }
                })
                .collect();
            for (n, call) in (0..).zip(calls) {
                match call.await {
                    Ok(value) => assert_eq!(value, n + 1),
                    Err(ProcessError::Broken(death)) => {
                        assert!(
                            n % 500 == 499 && death.is_own() && death.exit_code() == Some(4),
                            "{n}: {death}"
                        );
                    }
                    Err(error) => panic!("{n}: {error}"),
                }
            }
        },
    );
}

/// A call was taken back from a process that had not begun it, as it was long and still on its way, by one that had nothing to do; and
/// so on, to and fro.
#[test]
fn are_not_sent_to_and_fro() {
    on_all(
        |builder| builder.max_workers(2),
        |pool| async move {
            start_two(&pool).await;
            warm_up(&pool).await;
            for _ in 0..20 {
                let long = pool.submit(|bytes: Vec<u8>| bytes.len(), vec![1; 4_000_000]);
                let short: Vec<_> = (0..20).map(|n| pool.submit(quick, n)).collect();
                for call in short {
                    call.await.unwrap();
                }
                assert_eq!(long.await.unwrap(), 4_000_000);
            }
        },
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    let peak: u64 = peak.unwrap().trim().parse().unwrap();
    assert!(peak < 1_500_000 || cfg!(kumihimo_tsan), "{peak} KiB were in use");
}

/// Loops that end, or stand still, while another one awaits something of the pool whose sockets they polled.
mod loops {
    use super::*;

    /// Runs `first` in a loop, which then closes or stands still; what `first` gives is run in another loop meanwhile.
    fn home_goes<F: Future<Output = ()>>(
        closes: bool,
        first: impl AsyncFn(ProcessPoolExecutor),
        then: impl Fn(ProcessPoolExecutor) -> F + Sync,
    ) {
        for method in [StartMethod::Spawn, StartMethod::ForkServer] {
            let pool = ProcessPoolExecutor::builder().max_workers(1).start_method(method).build().unwrap();
            let home = Runner::builder().worker_threads(1).build().unwrap();
            home.run(first(pool.clone())).unwrap();
            thread::scope(|scope| {
                let other = home.run(async {
                    // At home again: the other loop finds it running.
                    pool.submit(quick, 1).await.unwrap();
                    let other = scope.spawn(|| asyncio::run(within_patience_of(then(pool.clone()))));
                    asyncio::sleep(Duration::from_millis(100)).await;
                    other
                });
                let home = (!closes).then_some(home);
                other.unwrap().join().unwrap();
                drop(home);
            });
        }
    }

    #[test]
    fn a_call_that_is_awaited_elsewhere_goes_on() {
        for closes in [false, true] {
            home_goes(
                closes,
                async |_| {},
                |pool| async move { assert_eq!(pool.submit(nap, 300).await.unwrap(), 300) },
            );
        }
    }

    #[test]
    fn a_shutdown_that_is_awaited_elsewhere_ends() {
        for closes in [false, true] {
            let first = async |pool: ProcessPoolExecutor| {
                let call = pool.submit(nap, 300);
                begins(&call).await;
                drop(call);
            };
            home_goes(closes, first, |pool| pool.shutdown(true, false));
        }
    }
}

/// Where a program has SIGPIPE back, as command-line tools like to, a worker that dies must not end it.
#[test]
fn a_pool_survives_sigpipe() {
    fn sends_to_the_dead(_: u64) -> u64 {
        // SAFETY: the default action is allowed at any time.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        asyncio::run(async {
            let pool =
                ProcessPoolExecutor::builder().max_workers(1).on_crash(OnCrash::Restart).build().unwrap();
            let mut broken = 0;
            for n in 0..10 {
                let pid = pool.submit0(std::process::id).await.unwrap();
                let call = pool.submit(|bytes: Vec<u8>| bytes.len(), vec![0; 10_000_000]);
                asyncio::sleep(Duration::from_millis(n)).await;
                // SAFETY: a signal to a process of ours.
                unsafe { libc::kill(pid as i32, libc::SIGKILL) };
                broken += u64::from(call.await.is_err());
            }
            broken
        })
    }
    asyncio::run(async {
        let pool = ProcessPoolExecutor::new(1).unwrap();
        let broken = within_patience_of(pool.submit(sends_to_the_dead, 0)).await;
        assert!(broken.unwrap() <= 10);
    });
}
