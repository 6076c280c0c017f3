//! What a job costs: 20 000 no-op jobs submitted at once and awaited in order, and 20 000 one after another.
//!
//! `cargo run --release -p kumihimo-blocking-pool --example cost`

use std::time::Instant;

use futures_lite::future::block_on;
use kumihimo_blocking_pool::ThreadPoolExecutor;

const JOBS: u32 = 20_000;
const ROUNDS: usize = 15;

fn main() {
    let pool = ThreadPoolExecutor::default();
    report("all at once", || {
        let jobs: Vec<_> = (0..JOBS).map(|_| pool.submit(|| ())).collect();
        jobs.into_iter().for_each(block_on);
    });
    report("one by one", || (0..JOBS).for_each(|_| block_on(pool.submit(|| ()))));
    println!("threads: {}", pool.threads());
}

/// Prints the median, wall and CPU, per job.
fn report(name: &str, work: impl Fn()) {
    let mut walls = Vec::new();
    let mut cpus = Vec::new();
    for _ in 0..ROUNDS {
        let (wall, cpu) = (Instant::now(), cpu_time());
        work();
        walls.push(wall.elapsed().as_nanos() as u64 / u64::from(JOBS));
        cpus.push((cpu_time() - cpu) / u64::from(JOBS));
    }
    walls.sort_unstable();
    cpus.sort_unstable();
    println!("{name:12} wall {:6} ns, CPU {:6} ns", walls[ROUNDS / 2], cpus[ROUNDS / 2]);
}

/// Nanoseconds of CPU that this process has used, where the system tells; user and system ticks of `/proc`.
fn cpu_time() -> u64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0 };
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap_or(0)..].split(' ').collect();
    let ticks: u64 = fields[12..14].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 10_000_000
}
