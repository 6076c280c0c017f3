//! `cargo xtask oneshot`: the path for platforms without edge-triggered polling, kept alive on this one.

use crate::cargo::Cargo;
use crate::failure::Outcome;

pub(super) fn run() -> Outcome {
    // The second cfg makes the polling crate use poll(2), which knows oneshot only.
    Cargo::new("test --no-fail-fast --lib --tests")
        .packages(["kumihimo-reactor", "kumihimo-net"])
        .env("RUSTFLAGS", "--cfg kumihimo_oneshot --cfg polling_test_poll_backend")
        .target_dir("oneshot")
        .run_tests()?
        .conclude()
}
