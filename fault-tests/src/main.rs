//! Plants mistakes into a copy of the code, and shows that the tests catch them: a test that cannot fail shows nothing.
//!
//! `cargo run --release -p kumihimo-fault-tests` tries every fault, and `... -- FILTER` those whose name holds the filter.
//! All of them are built into one copy, each behind a switch; with none switched on, every test has to pass first.
//! Then each fault is switched on alone, and the one test that is to catch it has to fail.

mod catcher;
mod copy;
mod faults;
mod programs;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::catcher::Catcher;
use crate::copy::Copy;
use crate::faults::{FAULTS, Fault};
use crate::programs::{Programs, Verdict};

/// A test that goes on for longer hangs. They take seconds, also where a disagreement has to be made small.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same where that is expected; far longer than the tests take that pass.
const HANGING: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    // A name has blanks, and may come in several words.
    let filter = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let faults: Vec<&Fault> = FAULTS.iter().filter(|fault| fault.name.contains(&filter)).collect();
    if faults.is_empty() {
        println!("no fault has a name that holds `{filter}`");
        return ExitCode::FAILURE;
    }
    let began = Instant::now();
    let Some(programs) = Programs::build(&Copy::new(FAULTS)) else { return ExitCode::FAILURE };
    println!("built in {:.0?}", began.elapsed());
    let sound = are_sound(&programs, &faults);
    let missed = count_side_by_side(&faults, |fault| !is_caught(&programs, fault));
    println!("{} faults, {missed} not caught, {:.0?}", faults.len(), began.elapsed());
    if sound && missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How often a test is run that does not do what it should: some of them run in real time, and the machine may be busy.
const TRIES: usize = 3;

/// Whether the tests pass as long as nothing is wrong: otherwise they show nothing.
fn are_sound(programs: &Programs, faults: &[&Fault]) -> bool {
    let mut catchers: Vec<_> = faults.iter().map(|fault| fault.catcher).collect();
    catchers.sort_unstable();
    catchers.dedup();
    let fail = |catcher: &Catcher| {
        let verdict = try_for(Verdict::Passed, || programs.run(catcher, "", PATIENCE));
        if verdict != Verdict::Passed {
            println!("{catcher}: without any fault, the test {verdict}");
        }
        verdict != Verdict::Passed
    };
    count_side_by_side(&catchers, fail) == 0
}

/// Whether the fault's test fails once the fault is there.
fn is_caught(programs: &Programs, fault: &Fault) -> bool {
    let began = Instant::now();
    let (wanted, patience) =
        if fault.hangs { (Verdict::Hangs, HANGING) } else { (Verdict::Failed, PATIENCE) };
    let verdict = try_for(wanted, || programs.run(&fault.catcher, fault.name, patience));
    let caught = verdict == wanted;
    let text = if caught { "caught".into() } else { format!("MISSED: the test {verdict}") };
    println!("{:<58} {:<64} {text} ({:.1?})", fault.name, fault.catcher.to_string(), began.elapsed());
    caught
}

/// For how many this holds; as many are tried side by side as there are cores.
fn count_side_by_side<T: Sync>(all: &[T], holds: impl Fn(&T) -> bool + Sync) -> usize {
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Relaxed)) {
                    count.fetch_add(usize::from(holds(one)), Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

/// Runs a test until it does what is wanted, a few times; gives what it did last.
fn try_for(wanted: Verdict, run: impl Fn() -> Verdict) -> Verdict {
    let mut verdict = run();
    for _ in 1..TRIES {
        if verdict == wanted {
            break;
        }
        verdict = run();
    }
    verdict
}
