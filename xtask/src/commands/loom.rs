//! `cargo xtask loom`: the model checks.

use crate::cargo::{Cargo, TestCounts};
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, Member};

/// The package that holds the models of how crates work together.
const MODELS: &str = "kumihimo-loom-tests";

/// What users copy.
const TEMPLATE: &str = "examples/model-template/Cargo.toml";

/// The facade, whose test `model` is what users do with models.
const FACADE: &str = "kumihimo";

/// Runs the models, or those whose name holds the filter.
///
/// Models of one crate's private parts live in that crate, in modules named `loom`.
pub(super) fn run(filter: &str) -> Outcome {
    let mut counts = TestCounts::default();
    for member in workspace::members() {
        if member.name() == FACADE {
            counts.add(cargo("test").args("-p kumihimo --test model").args(filter).run_tests()?);
            if filter.is_empty() {
                counts.add(cargo("test").args("--lib --manifest-path").args(TEMPLATE).run_tests()?);
            }
        } else if member.name() == MODELS {
            counts.add(cargo("test").packages([MODELS]).args("--tests").args(filter).run_tests()?);
        } else if has_models(&member) {
            let filter = if filter.is_empty() { "loom" } else { filter };
            let tests = cargo("test").packages([&*member.name()]).args("--lib").args(filter);
            counts.add(tests.args("-- --show-output").run_tests()?);
        }
    }
    if counts.passed + counts.failed == 0 && !counts.failed_otherwise {
        return Err(Failure::new(
            "no loom model ran: none has a name that holds the filter, or the cfg got lost",
        ));
    }
    counts.conclude()
}

/// Plants mistakes, and shows that the models catch them: all, or every so-manieth (`3/10`).
pub(super) fn mutants(part: Option<&str>) -> Outcome {
    let part = part.map_or_else(String::new, |part| format!("--part {part}"));
    let run = Cargo::new("run --release --quiet -p kumihimo-loom-tests --").args(&part).run();
    run.map_err(|_| Failure::new("a mistake was caught by no model; it stands above as SURVIVED or MISSED"))
}

fn cargo(command: &str) -> Cargo {
    // Optimised, as models visit millions of interleavings; with assertions, as these are what is checked; without
    // the slow parts of the release profile.
    Cargo::new(command)
        .args("--release --no-fail-fast")
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
