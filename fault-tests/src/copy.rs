//! A copy of the workspace, with all faults in it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::faults::Fault;

/// The crates that are copied.
const CRATES: [&str; 9] = [
    "context",
    "executor",
    "reactor",
    "timer-wheel",
    "sync",
    "combinators",
    "blocking-pool",
    "net",
    "macros",
];
/// What is copied of the facade.
const FACADE: [&str; 3] = ["src", "tests", "README.md"];

/// What the context's crate, which all others use, gets appended. Only the copy has it.
const SWITCH: &str = r#"
extern crate self as kumihimo_context;

/// Whether the fault of this name is switched on, by `KUMIHIMO_FAULT`.
pub fn fault_is_on(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("KUMIHIMO_FAULT").ok()).as_deref() == Some(name)
}
"#;

/// A workspace of its own, below the target folder.
pub(crate) struct Copy {
    root: PathBuf,
}

/// The checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the checkout")
}

impl Copy {
    /// Copies the checkout of this moment, and plants the faults.
    pub(crate) fn new(faults: &[Fault]) -> Copy {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from);
        let copy = Copy { root: target.join("faults") };
        let mut files = BTreeMap::new();
        for name in CRATES {
            read(&format!("{name}/src"), &mut files);
            read(&format!("{name}/Cargo.toml"), &mut files);
        }
        for name in FACADE.into_iter().chain(["Cargo.toml", "Cargo.lock"]) {
            read(name, &mut files);
        }
        for (file, text) in plant(faults, |file| text(&files[file])) {
            files.insert(file.into(), text.into_bytes());
        }
        let manifest = workspace_of(&text(&files["Cargo.toml"]));
        files.insert("Cargo.toml".into(), manifest.into_bytes());
        files.get_mut("context/src/lib.rs").expect("the context is copied").extend(SWITCH.bytes());
        copy.write(&files);
        copy
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folders hold these files, and touches only what differs: the rest need not be built again.
    fn write(&self, files: &BTreeMap<String, Vec<u8>>) {
        for folder in CRATES.into_iter().chain(FACADE) {
            let mut old = BTreeMap::new();
            read_below(&self.root, folder, &mut old);
            old.keys()
                .filter(|file| !files.contains_key(*file))
                .for_each(|file| _ = fs::remove_file(self.root.join(file)));
        }
        for (file, text) in files {
            let path = self.root.join(file);
            if fs::read(&path).is_ok_and(|old| old == *text) {
                continue;
            }
            fs::create_dir_all(path.parent().expect("a file is in a folder"))
                .and_then(|()| fs::write(&path, text))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// The mutated text of each file that a fault is in.
///
/// # Panics
///
/// If a file does not have a fault's text exactly once, or two faults are in the same place.
pub(crate) fn plant(faults: &[Fault], read: impl Fn(&str) -> String) -> BTreeMap<&str, String> {
    let mut places: BTreeMap<&str, Vec<(Range<usize>, &Fault)>> = BTreeMap::new();
    let mut misfits = String::new();
    for fault in faults {
        let text = read(fault.file);
        let found: Vec<_> = text.match_indices(fault.right).map(|(at, _)| at).collect();
        if let [at] = found[..] {
            places.entry(fault.file).or_default().push((at..at + fault.right.len(), fault));
        } else {
            misfits += &format!("\n{}: {} has the text {} times", fault.name, fault.file, found.len());
        }
    }
    assert!(misfits.is_empty(), "faults that don't fit the code, which has to have each text once:{misfits}");
    let planted = places.into_iter().map(|(file, mut places)| {
        places.sort_unstable_by_key(|(range, _)| range.start);
        let mut text = read(file);
        let mut end = text.len();
        for (range, fault) in places.into_iter().rev() {
            assert!(range.end <= end, "{}: another fault is in the same place", fault.name);
            end = range.start;
            text.replace_range(range, &fault.text());
        }
        (file, text)
    });
    planted.collect()
}

/// The root manifest, with only the members that are copied.
fn workspace_of(manifest: &str) -> String {
    let (_, after) = manifest.split_once("\n]\n").expect("the list of members ends");
    let after = after.lines().filter(|line| !line.starts_with("default-members"));
    let members = format!("[workspace]\nresolver = \"3\"\nmembers = {CRATES:?}\n");
    std::iter::once(members.as_str()).chain(after).map(|line| format!("{line}\n")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("sources are text")
}

fn read(path: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    read_below(checkout(), path, files);
    assert!(files.keys().any(|file| file.starts_with(path)), "{path} is missing");
}

/// Reads a file, or all that are in a folder, by their paths below `root`.
fn read_below(root: &Path, path: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    if let Ok(entries) = fs::read_dir(root.join(path)) {
        for entry in entries.flatten() {
            let name = entry.file_name();
            read_below(root, &format!("{path}/{}", name.to_str().expect("sources have plain names")), files);
        }
    } else if let Ok(bytes) = fs::read(root.join(path)) {
        files.insert(path.into(), bytes);
    }
}
