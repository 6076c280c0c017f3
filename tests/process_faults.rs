//! A process pool while its processes die, and what is left of it afterwards.
//!
//! One test at a time: they count this process's descriptors and children.
#![cfg(feature = "process-pool")]

mod support;

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kumihimo as asyncio;
use kumihimo::process::{OnCrash, StartMethod};
use kumihimo::{ProcessError, ProcessPoolExecutor};
use rustix::process::{Pid, Signal, kill_process};
use support::processes::{children, descriptors, state};

/// How many calls the campaign makes.
const CALLS: u64 = 10_000;
/// How often somebody is killed meanwhile.
const EVERY: Duration = Duration::from_millis(50);
/// Says to this program, as a child of itself, which start method to use.
const PARENT: &str = "KUMIHIMO_TEST_PARENT";

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Works for up to a millisecond or two, and answers at some length.
fn work(argument: Vec<u64>) -> (u64, Vec<u64>) {
    let n = argument[0];
    thread::sleep(Duration::from_micros(n % 7 * 300));
    (n * n, argument)
}

/// Now and then more than a socket takes at once.
fn argument(n: u64) -> Vec<u64> {
    vec![n; if n.is_multiple_of(100) { 50_000 } else { 3 }]
}

/// What has become of the calls.
#[derive(Default)]
struct Count {
    answered: u64,
    broken: u64,
    waiting: u64,
}

#[test]
fn a_campaign_of_kills_fails_the_calls_that_it_hits_and_no_other() {
    let _alone = alone();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        // Whatever is made once in a process's life is made before.
        campaign(method, 100);
        let before = (descriptors(), children());
        let (count, kills) = campaign(method, CALLS);
        assert_eq!(count.answered + count.broken + count.waiting, CALLS);
        assert!(count.broken <= kills, "{} calls failed of {kills} kills", count.broken);
        assert!(count.waiting <= kills / 3, "{} calls failed without a process", count.waiting);
        assert!(kills >= 20 && count.broken > 0, "{kills} kills hit {} calls", count.broken);
        wait_until(|| descriptors() <= before.0 && children() == before.1);
        println!(
            "{method:?}: {kills} kills; {} calls answered, {} failed in their process, {} without one",
            count.answered, count.broken, count.waiting
        );
    }
}

fn campaign(method: StartMethod, calls: u64) -> (Count, u64) {
    let runner = asyncio::Runner::builder().worker_threads(2).build().unwrap();
    let builder = ProcessPoolExecutor::builder().max_workers(4).start_method(method);
    let pool = builder.on_crash(OnCrash::Restart).build().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let killer = thread::spawn({
        let (pool, is_over) = (pool.clone(), is_over.clone());
        move || {
            let (mut kills, mut random) = (0, 0x2545_f491_4f6c_dd1d_u64);
            while !is_over.load(Relaxed) {
                thread::sleep(EVERY);
                let pids = pool.pids();
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if let Some(pid) = pids.get((random >> 33) as usize % pids.len().max(1)) {
                    kills +=
                        u64::from(kill_process(Pid::from_raw(*pid as i32).unwrap(), Signal::KILL).is_ok());
                }
            }
            kills
        }
    });
    let count = runner
        .run(async {
            let jobs: Vec<_> = (0..calls).map(|n| pool.submit(work, argument(n))).collect();
            let mut count = Count::default();
            for (n, job) in (0..).zip(jobs) {
                match job.await {
                    Ok((square, echo)) => {
                        assert!(square == n * n && echo == argument(n));
                        count.answered += 1;
                    }
                    Err(ProcessError::Broken(error)) => {
                        assert_eq!(error.signal(), Some(libc::SIGKILL), "{error}");
                        *(if error.is_own() { &mut count.broken } else { &mut count.waiting }) += 1;
                    }
                    Err(error) => panic!("call {n}: {error}"),
                }
            }
            pool.shutdown(true, false).await;
            count
        })
        .unwrap();
    is_over.store(true, Relaxed);
    (count, killer.join().unwrap())
}

#[test]
fn nothing_is_left_of_pools_however_they_end() {
    let _alone = alone();
    fn forever() {
        loop {
            thread::park();
        }
    }
    let ends: [fn(ProcessPoolExecutor); 5] = [
        drop,
        |pool| drop(pool.shutdown(false, true)),
        |pool| pool.kill_workers(),
        |pool| pool.terminate_workers(),
        |pool| pool.pids().iter().for_each(|pid| kill(*pid)),
    ];
    let round = || {
        for method in [StartMethod::Spawn, StartMethod::ForkServer] {
            for (index, end) in ends.iter().enumerate() {
                asyncio::run(async {
                    let builder = ProcessPoolExecutor::builder().max_workers(3).start_method(method);
                    let pool = builder.on_crash(OnCrash::Restart).build().unwrap();
                    let long = (index > 1).then(|| pool.submit0(forever));
                    for n in 0..20 {
                        assert_eq!(pool.submit(work, vec![n]).await.unwrap().0, n * n);
                    }
                    end(pool);
                    if let Some(long) = long {
                        assert!(matches!(long.await, Err(ProcessError::Broken(_))));
                    }
                });
            }
        }
    };
    round();
    // The last processes of a round may still be about to end.
    wait_until(|| children().is_empty());
    let before = descriptors();
    round();
    wait_until(|| descriptors() <= before && children().is_empty());
}

#[test]
fn no_worker_outlives_a_parent_that_was_killed() {
    let _alone = alone();
    for method in ["spawn", "forkserver"] {
        let mut parent = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_parent", "--nocapture", "--ignored"])
            .env(PARENT, method)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let pids: Vec<u32> = lines
            .map_while(Result::ok)
            .find_map(|line| {
                Some(line.strip_prefix("workers: ")?.split(' ').map(|pid| pid.parse().unwrap()).collect())
            })
            .unwrap();
        assert_eq!(pids.len(), 2);
        kill(parent.id());
        parent.wait().unwrap();
        // They are nobody's children now; whether somebody reaps them is not ours to say.
        wait_until(|| pids.iter().all(|pid| state(*pid).is_none_or(|state| state == 'Z')));
    }
}

/// Not a test, but the process that the test above kills.
#[test]
#[ignore = "it is a part of another test"]
fn a_parent() {
    fn spins() {
        while std::hint::black_box(true) {}
    }
    let Ok(method) = env::var(PARENT) else { return };
    let method = if method == "spawn" { StartMethod::Spawn } else { StartMethod::ForkServer };
    asyncio::run(async {
        let pool = ProcessPoolExecutor::builder().max_workers(2).start_method(method).build().unwrap();
        let calls = [pool.submit0(spins), pool.submit0(spins)];
        while !calls.iter().all(|call| call.running()) {
            asyncio::sleep(Duration::from_millis(1)).await;
        }
        println!("workers: {}", pool.pids().iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        asyncio::sleep(Duration::from_secs(60)).await;
    });
}

#[test]
fn ctrl_c_is_not_for_workers_not_even_for_those_that_are_being_started() {
    let _alone = alone();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let is_over = Arc::new(AtomicBool::new(false));
        let interrupter = thread::spawn({
            let is_over = is_over.clone();
            move || {
                let mut interrupted = HashSet::new();
                while !is_over.load(Relaxed) {
                    for pid in children() {
                        // It may have been reaped since.
                        let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::INT);
                        interrupted.insert(pid);
                    }
                }
                interrupted.len()
            }
        });
        asyncio::run(async {
            let builder = ProcessPoolExecutor::builder().max_workers(2).max_tasks_per_child(1);
            let pool = builder.start_method(method).build().unwrap();
            for n in pool.map(work, (0..100).map(|n| vec![n])).await.unwrap() {
                assert!(n.0 < 10_000);
            }
            pool.shutdown(true, false).await;
        });
        is_over.store(true, Relaxed);
        let interrupted = interrupter.join().unwrap();
        assert!(interrupted >= 1, "nobody was interrupted");
    }
}

#[test]
fn pids_are_those_of_distinct_processes() {
    let _alone = alone();
    asyncio::run(async {
        let pool = ProcessPoolExecutor::new(3).unwrap();
        let calls: Vec<_> = (0..3).map(|_| pool.submit(work, vec![6])).collect();
        for call in calls {
            call.await.unwrap();
        }
        let pids: HashSet<_> = pool.pids().into_iter().collect();
        assert!(pids.iter().all(|pid| children().contains(pid)), "{pids:?}");
        pool.shutdown(true, false).await;
    });
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        let left = (descriptors(), children());
        assert!(start.elapsed() < Duration::from_secs(20), "descriptors and children: {left:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
