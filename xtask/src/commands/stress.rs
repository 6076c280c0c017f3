//! `cargo xtask stress`: random work for a long time.

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};

/// Runs the stress test for so many seconds; among the ordinary tests it runs for a moment only.
pub(super) fn run(seconds: &str) -> Outcome {
    if !seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0) {
        return Err(Failure::new(format!(
            "`{seconds}` is no number of seconds; write, for example, `cargo xtask stress 60`"
        )));
    }
    Cargo::new("test --release -p kumihimo --all-features --test stress -- --nocapture")
        .env("KUMIHIMO_STRESS_SECONDS", seconds)
        .run_tests()?
        .conclude()
}
