//! `cargo xtask lint`: format, clippy, documentation.

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};

/// Every warning is an error here; while one works they stay warnings.
pub(super) fn run() -> Outcome {
    Cargo::new("fmt --all --check").run().map_err(|_| {
        Failure::new("some files are not formatted as .rustfmt.toml says; run `cargo fmt --all`")
    })?;
    Cargo::new("clippy --workspace --all-targets --all-features -- -D warnings").run()?;
    Cargo::new("doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings").run()?;
    println!("\nlint: format, clippy and documentation are clean");
    Ok(())
}
