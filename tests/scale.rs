//! Large numbers: a million tasks, a hundred thousand sleepers, ten thousand connections, and what they cost while nothing
//! happens. With debug assertions the numbers are smaller, and the output says so.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kumihimo::net::TcpListener;
use kumihimo::{self as asyncio, Runner, Task};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One at a time: they measure what the whole process does.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The full number; a tenth with debug assertions, where everything takes ten times as long.
fn number(what: &str, full: usize) -> usize {
    if !cfg!(debug_assertions) {
        return full;
    }
    let fewer = full / 10;
    println!("{fewer} {what} instead of {full}, because of debug assertions: run this with --release");
    fewer
}

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

/// CPU time that this process has used.
fn cpu_time() -> Duration {
    // SAFETY: all-zero is a valid `timespec` to be overwritten.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: writes to a place of ours.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Raises the limit of descriptors to the most that is allowed; gives it.
fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it fails, the old one stands.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize)
}

#[test]
fn a_million_tasks() {
    let _alone = alone();
    let count = number("tasks", 1_000_000);
    for runner in [Runner::builder().current_thread(), Runner::builder()] {
        let began = Instant::now();
        let sum = runner.build().unwrap().run(async move {
            // All of them exist before the first is awaited.
            let tasks: Vec<Task<usize>> =
                (0..count).map(|n| asyncio::create_task(async move { n })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await;
            }
            sum
        });
        assert_eq!(sum.unwrap(), count * (count - 1) / 2);
        println!(
            "{count} tasks spawned and awaited in {:.2?}, {} MiB resident",
            began.elapsed(),
            resident_mib()
        );
    }
}

#[test]
fn a_hundred_thousand_sleepers() {
    let _alone = alone();
    let count = number("sleepers", 100_000);
    Runner::builder()
        .build()
        .unwrap()
        .run(async move {
            let asleep = Arc::new(AtomicUsize::new(0));
            let began = asyncio::Instant::now();
            let patience = Duration::from_secs(4);
            let tasks: Vec<_> = (0..count)
                .map(|n| {
                    let (asleep, spread) = (asleep.clone(), Duration::from_micros(n as u64 % 1000));
                    asyncio::create_task(async move {
                        asleep.fetch_add(1, SeqCst);
                        asyncio::sleep_until(began + patience + spread).await;
                        asleep.fetch_sub(1, SeqCst);
                        assert!(asyncio::Instant::now() >= began + patience + spread, "woken early");
                    })
                })
                .collect();
            let mut most = 0;
            while most < count && asyncio::Instant::now() < began + patience {
                most = asleep.load(SeqCst);
                asyncio::sleep(Duration::from_millis(1)).await;
            }
            println!("{most} asleep at once, {} MiB resident", resident_mib());
            assert_eq!(most, count);
            for task in tasks {
                task.await;
            }
            assert_eq!(asleep.load(SeqCst), 0);
        })
        .unwrap();
}

// ---- connections

/// What tells this program, started once more, to be the far end: an address and a number of connections.
const FAR_END: &str = "KUMIHIMO_SCALE_FAR_END";
/// Descriptors besides the connections.
const OTHER_DESCRIPTORS: usize = 100;

/// The far end of the connections, in a process of its own; no test unless it is told to.
#[test]
fn far_end() {
    let Ok(what) = std::env::var(FAR_END) else { return };
    let (address, count) = what.split_once(' ').unwrap();
    let (address, count): (SocketAddr, usize) = (address.parse().unwrap(), count.parse().unwrap());
    raise_descriptor_limit();
    let mut connections: Vec<_> = (0..count)
        .map(|n| std::net::TcpStream::connect(address).unwrap_or_else(|error| panic!("{n}: {error}")))
        .collect();
    // Each works: a byte goes there and back while all are open, at the beginning and at the end.
    let mut echo = || {
        for (n, connection) in connections.iter_mut().enumerate() {
            connection.write_all(&[n as u8]).unwrap();
        }
        for (n, connection) in connections.iter_mut().enumerate() {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], n as u8);
        }
    };
    echo();
    println!("\nconnected");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    echo();
    println!("\nechoed");
}

fn start_far_end(address: SocketAddr, count: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "far_end", "--nocapture"])
        .env(FAR_END, format!("{address} {count}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn ten_thousand_connections_that_cost_nothing_while_idle() {
    let _alone = alone();
    let wanted = 10_000;
    let limit = raise_descriptor_limit();
    let count = wanted.min(limit.saturating_sub(OTHER_DESCRIPTORS));
    if count < wanted {
        println!(
            "{count} connections instead of {wanted}: no more than {limit} descriptors are allowed (ulimit -Hn)"
        );
    }
    println!(
        "the far ends of {count} connections are in a second process; {limit} descriptors are allowed in each"
    );
    Runner::builder().worker_threads(2).build().unwrap().run(connections(count)).unwrap();
}

async fn connections(count: usize) {
    let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 4096).await.unwrap();
    let mut far_end = start_far_end(listener.local_addr().unwrap(), count);
    let far_end_says = BufReader::new(far_end.stdout.take().unwrap()).lines();
    let handlers: Vec<_> = {
        let mut handlers = Vec::with_capacity(count);
        while handlers.len() < count {
            let (mut stream, _) = listener.accept().await.unwrap();
            handlers.push(asyncio::create_task(async move {
                let mut byte = [0];
                let mut echoed = 0;
                while stream.read(&mut byte).await.unwrap() == 1 {
                    stream.write_all(&byte).await.unwrap();
                    echoed += 1;
                }
                echoed
            }));
        }
        handlers
    };
    let far_end_says = wait_for("connected", far_end_says).await;
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open > count, "{open} descriptors are open");
    println!("{count} connections are open, {} MiB resident", resident_mib());
    let used = idle_cpu_time().await;
    println!("idle for {IDLE:?}: {used:?} of CPU time");
    assert!(used < MOST_IDLE, "an idle runtime with {count} parked connections used {used:?} of CPU time");
    far_end.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    let says = wait_for("echoed", far_end_says).await;
    for handler in handlers {
        assert_eq!(handler.await, 2);
    }
    // It has a few lines more to say.
    asyncio::to_thread(move || says.for_each(drop)).await;
    assert!(far_end.wait().unwrap().success());
}

type FarEndSays = std::io::Lines<BufReader<std::process::ChildStdout>>;

/// Reads until the far end says this.
async fn wait_for(what: &'static str, mut says: FarEndSays) -> FarEndSays {
    asyncio::to_thread(move || {
        assert!(says.any(|line| line.unwrap() == what), "the far end ended before it said {what:?}");
        says
    })
    .await
}

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(2);
/// A watcher that woke up every 5 ms would use more.
const MOST_IDLE: Duration = Duration::from_millis(2);

/// The CPU time that passes in `IDLE`: the least of some tries, as parking itself takes a moment.
async fn idle_cpu_time() -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        asyncio::sleep(Duration::from_millis(200)).await;
        let before = cpu_time();
        asyncio::sleep(IDLE).await;
        least = least.min(cpu_time() - before);
        if least < MOST_IDLE {
            break;
        }
    }
    least
}
