//! Where things are: the root, the members, the files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::Manifest;

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in a folder of the workspace")
}

/// A target folder of its own for a build with other flags, so that it does not throw the usual build away.
pub fn target_dir(name: &str) -> PathBuf {
    let base = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    base.join(name)
}

/// A package of the workspace.
#[derive(Debug)]
pub struct Member {
    /// Its folder, relative to the root; empty for the facade.
    pub folder: String,
    /// What its `Cargo.toml` says.
    pub manifest: Manifest,
}

impl Member {
    /// The package's name.
    pub fn name(&self) -> String {
        self.manifest.text("package", "name").unwrap_or_default()
    }

    /// Is it for others to use, as opposed to a tool of this repository?
    pub fn is_published(&self) -> bool {
        self.manifest.raw("package", "publish") != Some("false")
    }

    /// Its folder's full path.
    pub fn path(&self) -> PathBuf {
        root().join(&self.folder)
    }
}

/// The facade first, then the members in the order in which the root manifest lists them.
pub fn members() -> Vec<Member> {
    let facade = Member { folder: String::new(), manifest: read_manifest("") };
    let folders = facade.manifest.list("workspace", "members");
    let others = folders.into_iter().map(|folder| Member { manifest: read_manifest(&folder), folder });
    let others: Vec<Member> = others.collect();
    std::iter::once(facade).chain(others).collect()
}

/// The members that are for others to use.
pub fn published() -> Vec<Member> {
    members().into_iter().filter(Member::is_published).collect()
}

fn read_manifest(folder: &str) -> Manifest {
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("can't read {} (a member listed in Cargo.toml): {error}", path.display())
    });
    Manifest::parse(&text)
}

/// Every file of the repository below `folder`, relative to the root, without what git ignores by our rules
/// (build output) and without git's own.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if !path.is_dir() {
                found.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
            } else if name != ".git" && name != "__pycache__" && !name.starts_with("target") {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}
