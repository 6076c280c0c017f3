//! The copy's test programs, built once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::catcher::Catcher;
use crate::copy::Copy;
use crate::faults::FAULTS;

/// The test programs that faults are caught by.
pub(crate) struct Programs {
    /// By the name of the test.
    paths: BTreeMap<String, PathBuf>,
    /// Where they run.
    root: PathBuf,
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// The one test that was to run has failed.
    Failed,
    Hangs,
    /// The process ended otherwise than by a test that passed or failed.
    Crashed,
    /// There is no such test.
    Absent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Passed => "passes",
            Verdict::Failed => "fails",
            Verdict::Hangs => "hangs",
            Verdict::Crashed => "crashes",
            Verdict::Absent => "does not exist",
        })
    }
}

impl Programs {
    /// Builds the test programs; `None` if they don't compile, which cargo has said.
    pub(crate) fn build(copy: &Copy) -> Option<Programs> {
        let mut names: Vec<_> = FAULTS.iter().map(|fault| fault.catcher.place().0).collect();
        names.sort_unstable();
        names.dedup();
        let output = Command::new(env!("CARGO"))
            .args(["test", "--release", "--no-run", "--message-format=json-render-diagnostics"])
            .args(names.iter().flat_map(|name| ["--test", name]))
            .current_dir(copy.root())
            .env("CARGO_TARGET_DIR", copy.root().join("target"))
            .env("RUSTFLAGS", "--cfg kumihimo_fault --cap-lints allow")
            // Building takes longer than running.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        let messages = String::from_utf8_lossy(&output.stdout);
        let paths: BTreeMap<_, _> = messages.lines().filter_map(test_program).collect();
        let complete = names.iter().all(|name| paths.contains_key(*name));
        (output.status.success() && complete).then(|| Programs { paths, root: copy.root().into() })
    }

    /// Runs a test with this fault; with none if the name is empty. A test that goes on for longer than `patience` hangs.
    pub(crate) fn run(&self, catcher: &Catcher, fault: &str, patience: Duration) -> Verdict {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let log = self.root.join(format!("log-{}", RUNS.fetch_add(1, Relaxed)));
        let verdict = self.run_logged(catcher, fault, patience, &log);
        let _gone = fs::remove_file(&log);
        verdict
    }

    fn run_logged(&self, catcher: &Catcher, fault: &str, patience: Duration, log: &Path) -> Verdict {
        let (program, test) = catcher.place();
        let output = File::create(log).expect("the target folder can be written");
        let errors = output.try_clone().expect("a file has another handle");
        let mut child = Command::new(&self.paths[program])
            .args(["--exact", test])
            .current_dir(&self.root)
            .envs(catcher.variables())
            .env("KUMIHIMO_FAULT", fault)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("the test program starts");
        let began = Instant::now();
        loop {
            if child.try_wait().expect("it is our child").is_some() {
                return verdict_of(log);
            }
            if began.elapsed() > patience {
                let _gone = child.kill();
                let _gone = child.wait();
                return Verdict::Hangs;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What the test harness said.
fn verdict_of(log: &Path) -> Verdict {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let results = [
        ("1 passed; 0 failed;", Verdict::Passed),
        ("0 passed; 1 failed;", Verdict::Failed),
        ("0 passed; 0 failed;", Verdict::Absent),
    ];
    let said = |(result, _): &&(&str, Verdict)| text.contains(*result);
    results.iter().find(said).map_or(Verdict::Crashed, |(_, verdict)| *verdict)
}

/// The name and the path in cargo's message that a test program was built.
fn test_program(message: &str) -> Option<(String, PathBuf)> {
    let field = |name: &str| {
        let (_, after) = message.split_once(&format!("\"{name}\":\""))?;
        after.split_once('"').map(|(value, _)| value)
    };
    let (_, target) = message.split_once("\"kind\":[\"test\"]")?;
    let (_, name) = target.split_once("\"name\":\"")?;
    let (name, _) = name.split_once('"')?;
    Some((name.into(), PathBuf::from(field("executable")?)))
}
