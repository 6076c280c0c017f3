//! `cargo xtask test`: all tests, from a bare machine with only Rust.

use crate::cargo::Cargo;
use crate::failure::Outcome;

/// Runs everything that `cargo test` runs in the whole workspace, examples built and doctests included, or what
/// of it matches the filter, and ends with one line that sums it up.
pub(super) fn run(filter: &str) -> Outcome {
    // One selection of packages for all of it: another one would unify features differently and build again.
    Cargo::new("test --workspace --all-features --no-fail-fast").args(filter).run_tests()?.conclude()
}
