//! The programs of `examples/`, as cargo builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::SystemTime;

/// What is no source of an example.
const OTHERS: [&str; 7] = ["target", "tests", ".git", "bench", "fault-tests", "loom-tests", "xtask"];

/// Where cargo put an example, or puts it now. Each test binary has one.
pub(crate) fn executable(name: &str) -> PathBuf {
    // target/debug/deps/serve-0123 -> target/debug/examples/serve
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(name);
    static BUILD: Once = Once::new();
    // `cargo test` has built it; `cargo test --test NAME` has not, or some time ago.
    BUILD.call_once(|| {
        let built = example.metadata().and_then(|metadata| metadata.modified());
        if built.is_ok_and(|built| newest_source(Path::new(env!("CARGO_MANIFEST_DIR"))) < built) {
            return;
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--quiet", "--example", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo should start").success(), "the example should build");
    });
    example
}

/// When the last of the sources in a folder was changed.
fn newest_source(folder: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !OTHERS.iter().any(|other| name == *other) {
                newest = newest.max(newest_source(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            newest = newest.max(entry.metadata().unwrap().modified().unwrap());
        }
    }
    newest
}
