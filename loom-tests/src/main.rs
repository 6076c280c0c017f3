//! Plants mistakes into copies of the code, and shows that the models catch them: a model that cannot fail shows nothing.
//!
//! `cargo run --release -p kumihimo-loom-tests` tries every mutation, and `... -- FILTER` those whose name holds the
//! filter. Each builds the mutated crate and runs the one model that is to catch it.

mod copy;
mod mutations;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::copy::{Copy, Verdict};
use crate::mutations::MUTATIONS;

/// A model that has not failed by then counts as fooled. They take seconds; a build may take longer.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let copy = Copy::new();
    let mut failures = 0;
    for mutation in MUTATIONS.iter().filter(|mutation| mutation.matches(&filter)) {
        let began = Instant::now();
        let verdict = copy.try_mutation(mutation, PATIENCE);
        println!("{:<34} {:<62} {verdict} ({:.0?})", mutation.name, mutation.model, began.elapsed());
        failures += usize::from(verdict != Verdict::Caught);
    }
    if failures > 0 {
        println!("{failures} mutations were not caught");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
