//! `cargo xtask package`: what would be published is complete, and builds.

use std::path::PathBuf;

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, Member};

/// What a user of a crate has no use for, by the start of the path in the package.
const NOT_IN_A_PACKAGE: [&str; 6] = [".ci", ".github", "ci/", "target", "xtask", "docs/"];

pub(super) fn run() -> Outcome {
    let members = workspace::published();
    for member in &members {
        check_list(member)?;
    }
    let names: Vec<String> = members.iter().map(Member::name).collect();
    forget_unpacked(&names);
    // The changes of the moment count, committed or not.
    Cargo::new("package --allow-dirty --quiet")
        .packages(names.iter().map(String::as_str))
        .target_dir("package-check")
        .run()?;
    println!("\npackage: {} crates pack and build from their packages: {}", names.len(), names.join(", "));
    Ok(())
}

/// Removes what cargo has unpacked of our packages in an earlier run: it goes by name and version, and would build that again.
fn forget_unpacked(names: &[String]) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folders =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for registry in home.into_iter().flat_map(|home| folders(home.join("registry/src"))) {
        for unpacked in folders(registry) {
            let name = unpacked.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // NAME-VERSION
            if names.iter().any(|ours| name.rsplit_once('-').is_some_and(|(name, _)| name == ours)) {
                let _gone = std::fs::remove_dir_all(unpacked);
            }
        }
    }
}

/// Looks at the names of the files that would be packed.
fn check_list(member: &Member) -> Outcome {
    let name = member.name();
    let list = Cargo::new("package --list --allow-dirty").packages([name.as_str()]).output()?;
    let files: Vec<&str> = list.lines().collect();
    let mut wanted = vec!["Cargo.toml", "src/lib.rs"];
    if member.folder.is_empty() {
        wanted.extend([
            "README.md",
            "CHANGELOG.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "examples/serve/main.rs",
        ]);
    }
    if let Some(missing) = wanted.iter().find(|file| !files.contains(file)) {
        return Err(Failure::new(format!(
            "the package of {name} lacks {missing}; see `include` in its Cargo.toml"
        )));
    }
    let unwanted = files.iter().find(|file| NOT_IN_A_PACKAGE.iter().any(|prefix| file.starts_with(prefix)));
    match unwanted {
        None => Ok(()),
        Some(file) => Err(Failure::new(format!(
            "the package of {name} holds {file}, of which no user has use; see `include` in its Cargo.toml"
        ))),
    }
}
