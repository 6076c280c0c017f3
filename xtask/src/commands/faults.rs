//! `cargo xtask faults`: mistakes are planted, and tests have to catch them.

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};

/// Tries all faults, or those whose name holds the filter.
pub(super) fn run(filter: &str) -> Outcome {
    Cargo::new("run --release --quiet -p kumihimo-fault-tests --").args(filter).run().map_err(|_| {
        Failure::new("some planted faults were not caught, or the tests fail without any; it stands above")
    })
}
