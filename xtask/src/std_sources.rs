//! A toolchain that has the sources of the standard library.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// The folder of programs of a toolchain like the current one that has the sources; none if the current one has them.
///
/// Where they are missing, a second copy of the toolchain goes into the target folder: to add them to the current one
/// would change the compiler's messages, which compile-fail tests compare.
///
/// # Errors
///
/// When rustup is missing, or can't get the toolchain.
pub fn toolchain() -> Outcome<Option<PathBuf>> {
    let sysroot = printed(Command::new("rustc").args(["--print", "sysroot"]))?;
    if has_sources(Path::new(&sysroot)) {
        return Ok(None);
    }
    let version = printed(Command::new("rustc").arg("--version"))?;
    let number = version.split_whitespace().nth(1).unwrap_or_default().to_string();
    let home = workspace::target_dir("toolchain-with-sources");
    let folder = home.join("toolchains").join(format!("{number}-{}", host()?));
    if !has_sources(&folder) {
        println!("$ RUSTUP_HOME={} rustup toolchain install {number} --component rust-src", home.display());
        let install = ["toolchain", "install", &number, "--profile", "minimal", "--component", "rust-src"];
        let done =
            Command::new("rustup").args(install).arg("--no-self-update").env("RUSTUP_HOME", &home).status();
        if !done.is_ok_and(|status| status.success()) || !has_sources(&folder) {
            return Err(Failure::new(format!(
                "the sources of the standard library of Rust {number} are needed, and rustup could not get them; \
                 install the component rust-src for the toolchain in use"
            )));
        }
    }
    Ok(Some(folder.join("bin")))
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").exists()
}

/// The platform that the compiler runs on.
fn host() -> Outcome<String> {
    let verbose = printed(Command::new("rustc").arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_string)
        .ok_or_else(|| Failure::new("`rustc -vV` does not name its host; is rustc complete?"))
}

fn printed(command: &mut Command) -> Outcome<String> {
    let output =
        command.output().map_err(|error| Failure::new(format!("rustc could not be run: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}
