//! Runs the models of a crate until one fails.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This model has failed, at this interleaving, as far as it said.
    Caught { model: String, interleaving: Option<u64> },
    /// The process ended otherwise: a use after free, most likely.
    Crashed,
    /// All models have passed.
    Passed,
    /// They went on for too long.
    TimedOut,
    /// No model ran.
    Nothing,
}

/// Runs the models whose names hold one of these, in a test program, with this variable set.
/// If there is a bound, executions have so many preemptions at most.
pub(crate) fn run(
    program: &Path,
    models: &[&str],
    mutant: &str,
    bound: Option<&str>,
    patience: Duration,
) -> Outcome {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let log = std::env::temp_dir().join(format!(
        "kumihimo-mutant-{}-{}",
        std::process::id(),
        RUNS.fetch_add(1, Relaxed)
    ));
    let outcome = run_logged(program, models, mutant, bound, patience, &log);
    let _gone = fs::remove_file(&log);
    outcome
}

fn run_logged(
    program: &Path,
    models: &[&str],
    mutant: &str,
    bound: Option<&str>,
    patience: Duration,
    log: &PathBuf,
) -> Outcome {
    let output = File::create(log).expect("there is room for a log");
    let errors = output.try_clone().expect("a file has another handle");
    let mut child = Command::new(program)
        // Twins that have to fail are named for what they are without.
        .args(["--nocapture", "--test-threads=1", "--skip", "without_"])
        .args(models)
        .env("KUMIHIMO_MUTANT", mutant)
        .envs(bound.map(|bound| ("KUMIHIMO_MODEL_BOUND", bound)))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .expect("a test program starts");
    let began = Instant::now();
    let read = || String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    loop {
        let ended = child.try_wait().expect("it is our child");
        if let Some(model) = panicked(&read()) {
            end(&mut child);
            return Outcome::Caught { model, interleaving: interleaving(&read()) };
        }
        match ended {
            Some(status) if status.success() && read().contains("running 0 tests") => {
                return Outcome::Nothing;
            }
            Some(status) if status.success() => return Outcome::Passed,
            Some(_) => return Outcome::Crashed,
            None if began.elapsed() > patience => {
                end(&mut child);
                return Outcome::TimedOut;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// The first model that panicked.
fn panicked(log: &str) -> Option<String> {
    let (before, _) = log.split_once("panicked at")?;
    let (_, name) = before.rsplit_once("thread '")?;
    let (name, _) = name.split_once('\'')?;
    Some(name.strip_prefix("loom_models::").unwrap_or(name).to_owned())
}

fn interleaving(log: &str) -> Option<u64> {
    let (_, after) = log.split_once(": failed at interleaving ")?;
    after.split_once(',')?.0.parse().ok()
}

fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _gone = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _gone = child.wait();
}
