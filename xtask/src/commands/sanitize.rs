//! `cargo xtask sanitize`: the tests under a sanitizer, without a nightly toolchain.

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};
use crate::std_sources;
use crate::workspace::{self, Member};

/// The only platform on which this is done.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What ThreadSanitizer is not to report, and why.
const SUPPRESSIONS: &str = "ci/tsan-suppressions.txt";

/// Which one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sanitizer {
    /// Memory that is used wrongly, or leaked.
    Address,
    /// Data races.
    Thread,
}

/// Runs the tests of all published crates. Left out are doctests and compile-fail tests, which do not run our code, and
/// the one test of a misuse that leaks on purpose what would dangle otherwise.
pub(super) fn run(sanitizer: Sanitizer) -> Outcome {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err(Failure::new("sanitizers are set up for x86-64 Linux only; run this there"));
    }
    let examples = match instrumented("build --all-features --examples --target", sanitizer) {
        Ok(examples) => examples,
        // Without an instrumented std its reports are mostly false; a run that says nothing is better said to be none.
        Err(reason) => {
            println!("SKIPPED: the sanitizer did not run. {reason}");
            return Ok(());
        }
    };
    // Some tests run the examples' programs.
    examples.packages(["kumihimo"]).run()?;
    let names: Vec<String> = workspace::published().iter().map(Member::name).collect();
    let tests = instrumented("test --all-features --no-fail-fast --lib --bins --tests --target", sanitizer)?;
    // What only CPython runs has nothing of ours in it; and a tenth of the random programs goes everywhere they go.
    let skipped = "-- --skip compile_fail --skip guards_dropped_out_of_turn --skip cpython";
    let tests = tests.env("KUMIHIMO_FUZZ_PROGRAMS", "200");
    tests.packages(names.iter().map(String::as_str)).args(skipped).run_tests()?.conclude()
}

/// A cargo command with a sanitizer built in. `command` ends with the option that names the platform.
fn instrumented(command: &str, sanitizer: Sanitizer) -> Outcome<Cargo> {
    let cargo = Cargo::new(command).args(TARGET);
    // The sanitizers come with every stable toolchain, only their flags are unstable: the variable lets them pass.
    let cargo = cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    match sanitizer {
        Sanitizer::Address => Ok(address(cargo)),
        Sanitizer::Thread => thread(cargo),
    }
}

fn address(tests: Cargo) -> Cargo {
    // The second flag says that mixing with std, which is not instrumented, is meant: here it hides nothing of ours.
    tests
        .env("RUSTFLAGS", "-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer")
        .env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
        .target_dir("asan")
}

fn thread(tests: Cargo) -> Outcome<Cargo> {
    // An std that is not instrumented hides its locks from the sanitizer, which then reports what they guard: so build
    // it. Fences are not seen either way; the two cfgs replace them in crossbeam and in our own counts.
    let tests = tests
        .args("-Zbuild-std")
        .env("RUSTFLAGS", "-Zsanitizer=thread --cfg crossbeam_sanitize_thread --cfg kumihimo_tsan")
        .env("TSAN_OPTIONS", tsan_options())
        .target_dir("tsan");
    Ok(match std_sources::toolchain()? {
        None => tests,
        Some(bin) => tests.toolchain(bin),
    })
}

fn tsan_options() -> String {
    format!("history_size=7 suppressions={}", workspace::root().join(SUPPRESSIONS).display())
}
