//! `cargo xtask loom`: the model checks.

use crate::cargo::{Cargo, TestCounts};
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, Member};

/// The package that holds the models of how crates work together.
const MODELS: &str = "kumihimo-loom-tests";

/// Runs the models, or those whose name holds the filter.
///
/// Models of one crate's private parts live in that crate, in modules named `loom`.
pub(super) fn run(filter: &str) -> Outcome {
    let mut counts = TestCounts::default();
    for member in workspace::members() {
        if member.name() == MODELS {
            counts.add(cargo(MODELS).args("--tests").args(filter).run_tests()?);
        } else if has_models(&member) {
            let filter = if filter.is_empty() { "loom" } else { filter };
            counts.add(cargo(&member.name()).args("--lib").args(filter).run_tests()?);
        }
    }
    if counts.passed + counts.failed == 0 && !counts.failed_otherwise {
        return Err(Failure::new(
            "no loom model ran: none has a name that holds the filter, or the cfg got lost",
        ));
    }
    counts.conclude()
}

fn cargo(package: &str) -> Cargo {
    // Optimised, as models visit millions of interleavings; with assertions, as these are what is checked; without
    // the slow parts of the release profile.
    Cargo::new("test --release --no-fail-fast")
        .packages([package])
        .env("RUSTFLAGS", "--cfg kumihimo_loom")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .target_dir("loom")
}

/// Does this crate have models of its own?
fn has_models(member: &Member) -> bool {
    if !member.is_published() {
        return false;
    }
    let sources = workspace::files(&format!("{}/src", member.folder));
    sources.iter().any(|file| file.to_string_lossy().contains("loom_models"))
}
