//! A copy of the crates, to be mutated.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::mutations::Mutation;

/// The crates that are copied: those that are mutated, and what they need.
const CRATES: [&str; 6] = ["context", "executor", "timer-wheel", "reactor", "sync", "blocking-pool"];

/// A workspace of its own, below the target folder.
pub(crate) struct Copy {
    root: PathBuf,
    /// Models run so far.
    runs: AtomicU32,
}

/// What became of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The model failed.
    Caught,
    /// The model passed, or went on for too long.
    Missed,
    /// The mutated code does not compile, or the model does not exist.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Caught => "caught",
            Verdict::Missed => "MISSED",
            Verdict::Broken => "BROKEN",
        })
    }
}

/// The checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the checkout")
}

impl Copy {
    /// The copy of this name.
    pub(crate) fn new(name: &str) -> Copy {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from);
        let copy = Copy { root: target.join(name), runs: AtomicU32::new(0) };
        for name in CRATES {
            let from = checkout().join(name);
            let _absent = fs::remove_dir_all(copy.root.join(name));
            copy_folder(&from.join("src"), &copy.root.join(name).join("src"));
            fs::copy(from.join("Cargo.toml"), copy.root.join(name).join("Cargo.toml"))
                .expect("a crate has a manifest");
        }
        fs::copy(checkout().join("Cargo.lock"), copy.root.join("Cargo.lock"))
            .expect("the lock file is there");
        let manifest = fs::read_to_string(checkout().join("Cargo.toml")).expect("the manifest is there");
        fs::write(copy.root.join("Cargo.toml"), workspace_of(&manifest))
            .expect("the target folder can be written");
        copy
    }

    /// Changes a file; gives what `change` gives beside the text.
    pub(crate) fn rewrite<R>(&self, file: &str, change: impl FnOnce(&str) -> (String, R)) -> R {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (text, result) = change(&text);
        fs::write(path, text).expect("the copy can be written");
        result
    }

    /// Builds the models of all crates; gives their test programs by the folder of the crate.
    pub(crate) fn build_models(&self) -> BTreeMap<String, PathBuf> {
        let output = self
            .cargo()
            .args(["test", "--release", "--lib", "--no-run", "--workspace"])
            .arg("--message-format=json-render-diagnostics")
            .env("RUSTFLAGS", "--cfg kumihimo_loom --cap-lints allow")
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "the copy does not compile; cargo has said why");
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let field = |message: &str, name: &str| {
            let (_, after) = message.split_once(&format!("\"{name}\":\""))?;
            after.split_once('"').map(|(value, _)| value.to_owned())
        };
        let program = |message: &str| {
            let path = PathBuf::from(field(message, "executable")?);
            let manifest = PathBuf::from(field(message, "manifest_path")?);
            Some((manifest.parent()?.file_name()?.to_str()?.to_owned(), path))
        };
        messages.lines().filter_map(program).collect()
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env("RUSTFLAGS", "--cfg kumihimo_loom")
            .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
        cargo
    }

    /// Plants the mutation, runs its model, and takes the mutation back.
    pub(crate) fn try_mutation(&self, mutation: &Mutation, patience: Duration) -> Verdict {
        let file = self.root.join(mutation.file);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", mutation.file));
        fs::write(&file, mutation.apply(&text)).expect("the copy can be written");
        let verdict = self.run(mutation.package(), mutation.model, patience);
        fs::write(&file, text).expect("the copy can be written");
        verdict
    }

    fn run(&self, package: &str, model: &str, patience: Duration) -> Verdict {
        // A file for each: what an earlier model's threads still write must not count.
        let log =
            self.root.join(format!("log-{:x}", std::process::id() ^ self.runs.fetch_add(1, Relaxed) << 16));
        let output = File::create(&log).expect("the target folder can be written");
        let errors = output.try_clone().expect("a file has another handle");
        let mut cargo = self
            .cargo()
            .args([
                "test",
                "--release",
                "-p",
                &format!("kumihimo-{package}"),
                "--lib",
                "--",
                "--exact",
                "--nocapture",
                model,
            ])
            // A build for each mistake takes longer than its model.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .process_group(0)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("cargo starts");
        let began = Instant::now();
        let read = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        loop {
            let ended = cargo.try_wait().expect("cargo is our child");
            let text = read();
            // A model that has panicked may hang: what its other threads hold is never given back.
            let panicked = text.contains("panicked at");
            if ended.is_none() && !panicked && began.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            if ended.is_none() {
                // The whole group: cargo, and the model that it runs.
                let group = format!("-{}", cargo.id());
                let _gone = Command::new("kill").args(["-KILL", "--", &group]).status();
                let _gone = cargo.wait();
            }
            return match ended {
                _ if panicked => Verdict::Caught,
                None => Verdict::Missed,
                Some(_) if !text.contains("running 1 test") => Verdict::Broken,
                Some(status) if status.success() => Verdict::Missed,
                // A crash: a use after free, most likely.
                Some(_) => Verdict::Caught,
            };
        }
    }
}

/// The workspace's part of the root manifest, with only the crates that are copied.
fn workspace_of(manifest: &str) -> String {
    let package = manifest.find("\n[package]").expect("the root has a package");
    let (_, after) = manifest[..package].split_once("\n]\n").expect("the list of members ends");
    let after = after.lines().filter(|line| !line.starts_with("default-members"));
    let members = format!("[workspace]\nresolver = \"3\"\nmembers = {CRATES:?}\n");
    std::iter::once(members.as_str()).chain(after).collect::<Vec<_>>().join("\n")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the target folder can be written");
    for entry in fs::read_dir(from).expect("sources are there") {
        let path = entry.expect("sources can be listed").path();
        let to = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy_folder(&path, &to),
            false => _ = fs::copy(&path, &to).expect("the target folder can be written"),
        }
    }
}
