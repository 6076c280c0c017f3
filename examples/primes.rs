//! Counts primes in other processes, with a progress bar. Run it with `cargo run --release --example primes -- --help`.
//!
//! The numbers are cut into segments. A pool of processes sieves these, as many at a time as it has processes, and gives
//! the results in order; this process adds them up, and shows how far it is. Ctrl-C ends all of it.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;
use std::{env, thread};

use asyncio::{ProcessError, ProcessPoolExecutor};
use indicatif::{ProgressBar, ProgressStyle};
use kumihimo as asyncio;
use serde::{Deserialize, Serialize};

const USAGE: &str = "usage: primes [LIMIT] [--workers N]

Counts the primes up to LIMIT (1e9 unless given; 1e8, 2.5e6 and 1_000_000 are fine, too),
with N processes: as many as there are processors, unless given.
";

/// Numbers in a segment. Even, so that each begins with an even number; what is crossed out of one fits a processor's cache.
const SEGMENT: u64 = 1 << 19;
/// How many of the largest primes are shown.
const SHOWN: usize = 5;

// === in the processes ===

/// The primes up to the square root of the limit, which are what multiples are crossed out of. A static is each process's own:
/// the initializer fills it in those of the pool, and here it stays empty.
static SMALL_PRIMES: OnceLock<Vec<u64>> = OnceLock::new();

/// What each process calls before it gets its first segment.
fn find_small_primes(limit: u64) {
    let root = limit.isqrt() as usize;
    let mut crossed_out = vec![false; root + 1];
    let mut primes = Vec::new();
    for n in 2..=root {
        if !crossed_out[n] {
            primes.push(n as u64);
            (n * n..=root).step_by(n).for_each(|multiple| crossed_out[multiple] = true);
        }
    }
    SMALL_PRIMES.set(primes).expect("a process is initialised once");
}

/// A segment's primes. It travels from process to process, for which the two derives are enough.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Primes {
    count: u64,
    /// The last few, in order.
    largest: Vec<u64>,
}

/// What is called for each segment, the numbers from `start` up to, but without, `end`: the sieve of Eratosthenes.
fn sieve((start, end): (u64, u64)) -> Primes {
    // Place `i` is for `start + 2 * i + 1`: of the even numbers only two is a prime.
    let mut crossed_out = vec![false; ((end - start) / 2) as usize];
    if start == 0 {
        // One is none.
        crossed_out[0] = true;
    }
    for &p in SMALL_PRIMES.get().expect("the initializer has run").iter().skip(1) {
        // The first odd multiple in the segment, unless a smaller prime crosses it out.
        let multiple = start.next_multiple_of(p).max(p * p);
        let multiple = if multiple.is_multiple_of(2) { multiple + p } else { multiple };
        let first = ((multiple - start) / 2) as usize;
        crossed_out.iter_mut().skip(first).step_by(p as usize).for_each(|place| *place = true);
    }
    let odd = (0..crossed_out.len()).filter(|&i| !crossed_out[i]).map(|i| start + 2 * i as u64 + 1);
    let two = (start..end).contains(&2).then_some(2);
    let primes = two.into_iter().chain(odd);
    let mut largest: Vec<_> = primes.clone().rev().take(SHOWN).collect();
    largest.reverse();
    Primes { count: primes.count() as u64, largest }
}

// === here ===

/// Has all segments sieved, and adds up what comes back.
async fn count(pool: &ProcessPoolExecutor, limit: u64, bar: &ProgressBar) -> Result<Primes, ProcessError> {
    let segments =
        (0..=limit).step_by(SEGMENT as usize).map(|start| (start, limit.min(start + SEGMENT - 1) + 1));
    // Without a limit all segments would be submitted at once: these are enough to keep every process busy.
    let mut results = pool.map(sieve, segments).buffersize(4 * pool.max_workers());
    let mut all = Primes::default();
    while let Some(found) = results.next().await {
        let Primes { count, largest } = found?;
        all.count += count;
        all.largest.extend(largest);
        all.largest.drain(..all.largest.len().saturating_sub(SHOWN));
        bar.inc(SEGMENT);
    }
    Ok(all)
}

/// Makes the pool and the bar, and sees to it that neither is left behind, whatever happens in between.
async fn primes(limit: u64, workers: usize) -> Result<Primes, Box<dyn std::error::Error>> {
    // The processes are started when there is something to do for them. They run this same program, without its `main`.
    let pool = ProcessPoolExecutor::builder()
        .max_workers(workers)
        .initializer_with(find_small_primes, limit)
        .build()?;
    // On standard error, and hidden if that is no terminal.
    let bar = ProgressBar::new(limit)
        .with_style(ProgressStyle::with_template("{wide_bar} {percent:>3} %, {elapsed} gone, {eta} to go")?);
    // Ctrl-C cancels `main`: `count` and its map are dropped, and no further segment begins. The clean-up runs all the same.
    let found = asyncio::finally(count(&pool, limit, &bar), async {
        bar.finish_and_clear();
        pool.shutdown(true, true).await;
    });
    Ok(found.await?)
}

/// The arguments: the limit, and the number of processes; else what is wrong with them.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(u64, usize), String> {
    let (mut limit, mut workers) = (None, None);
    while let Some(argument) = arguments.next() {
        if argument == "--workers" && workers.is_none() {
            workers = Some(a_number_of_workers(&arguments.next().unwrap_or_default())?);
        } else if !argument.starts_with('-') && limit.is_none() {
            limit = Some(a_limit(&argument)?);
        } else {
            return Err(format!("what is {argument} for?"));
        }
    }
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    Ok((limit.unwrap_or(1_000_000_000), workers.unwrap_or_else(processors)))
}

fn a_number_of_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=256) => Ok(n),
        _ => Err(format!("--workers takes a number from 1 to 256, not {text:?}")),
    }
}

fn a_limit(text: &str) -> Result<u64, String> {
    // A float, for the sake of 1e8: up to this size all integers are exact.
    match text.replace('_', "").parse::<f64>() {
        Ok(n @ 2.0..=1e14) if n.fract() == 0.0 => Ok(n as u64),
        _ => Err(format!("LIMIT is an integer from 2 to 1e14, not {text:?}")),
    }
}

#[asyncio::main]
async fn main() -> ExitCode {
    if env::args().skip(1).any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let (limit, workers) = match arguments(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprint!("primes: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    match primes(limit, workers).await {
        Ok(Primes { count, largest }) => {
            let largest: Vec<_> = largest.iter().map(u64::to_string).collect();
            println!("{count} primes up to {limit}, the largest: {}", largest.join(", "));
            eprintln!("{:.2?}, processes: {workers}", start.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("primes: {error}");
            ExitCode::FAILURE
        }
    }
}
