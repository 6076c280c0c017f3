//! Everything, over and over, on a busy machine:
//!
//! ```text
//! KUMIHIMO_CONFORMANCE_REPEATS=200 KUMIHIMO_CONFORMANCE_LOAD=1 cargo test --release --test conformance repeats
//! ```
//!
//! Runs in real time are not repeated.

use std::env;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::SCENARIOS;
use crate::compare::{Clock, Flavours};

/// A number in an environment variable; zero where it isn't set.
fn number(name: &str) -> usize {
    let Ok(text) = env::var(name) else { return 0 };
    text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}"))
}

#[test]
fn repeats() {
    let repeats = number("KUMIHIMO_CONFORMANCE_REPEATS");
    if repeats == 0 {
        return;
    }
    let cores = thread::available_parallelism().unwrap().get();
    let busy = if number("KUMIHIMO_CONFORMANCE_LOAD") > 0 { cores } else { 0 };
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|scenario| scenario.clock == Clock::Mock).collect();
    let (runs, over, start) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let rounds = Mutex::new((0..repeats).flat_map(|_| scenarios.iter()));
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    loop {
                        let Some(scenario) = rounds.lock().unwrap().next() else { return };
                        match scenario.run(Clock::Mock) {
                            Ok(n) => _ = runs.fetch_add(n, Ordering::Relaxed),
                            Err(difference) => differences.lock().unwrap().push(difference),
                        }
                    }
                });
            }
        });
        over.store(true, Ordering::Relaxed);
    });
    let differences = differences.into_inner().unwrap();
    let on_workers = scenarios.iter().filter(|scenario| scenario.flavours == Flavours::All).count();
    let figures = format!(
        "{} scenarios on one thread, {on_workers} of them on 1, 2 and 4 workers as well, {repeats} times, \
         {busy} busy threads on {cores} cores: {} runs in {:.1} s, {} differences",
        scenarios.len(),
        runs.into_inner(),
        start.elapsed().as_secs_f64(),
        differences.len(),
    );
    // Past the test harness, which shows what a test prints only if it fails.
    let _ = writeln!(io::stderr(), "{figures}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
