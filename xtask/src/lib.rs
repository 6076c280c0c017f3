//! The developer's commands: `cargo xtask test`, `cargo xtask lint`, and so on.
//!
//! - [`commands`]: one file per command, each a few calls of cargo that a person could type;
//! - [`cargo`]: runs cargo, says what it runs, counts what the tests said;
//! - [`house`]: the crates of the workspace, and who may import whom;
//! - [`manifest`]: reads the little of TOML that manifests are written in;
//! - [`std_sources`]: a toolchain that can build the standard library;
//! - [`unsafe_list`]: the page of all unsafe code, and what covers it;
//! - [`workspace`]: where things are.
//!
//! The house rules that no compiler checks are tests of this package (`tests/policy.rs`).

#![forbid(unsafe_code)]

pub mod cargo;
pub mod commands;
pub mod failure;
pub mod house;
pub mod manifest;
pub mod std_sources;
pub mod unsafe_list;
pub mod workspace;
