//! CPython's `concurrent.futures.ProcessPoolExecutor`: `python/process_pool.py`, which takes the time itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Work;
use crate::family;
use crate::measure::{Plan, Sample, percentiles};
use crate::rows::Measured;

/// The interpreter, as found on `PATH`. Where that is pyenv's, `PYENV_VERSION` says which one it is.
const INTERPRETER: &str = "python3.13";

/// The interpreter's version, if it can be started.
pub(crate) fn version() -> Option<String> {
    let output =
        Command::new(INTERPRETER).arg("--version").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().replace("Python", "CPython"))
}

/// One turn: the faster of the pool's own futures and asyncio's `run_in_executor`.
pub(crate) fn turn(work: Work, plan: Plan) -> Measured {
    let futures = run("futures", work, plan)?;
    if !matches!(work, Work::Calls { .. } | Work::One { .. } | Work::Bytes { .. } | Work::BytesBoth { .. }) {
        return Ok(futures);
    }
    let asyncio = run("asyncio", work, plan)?;
    Ok(if asyncio[0] < futures[0] { asyncio } else { futures })
}

/// The work in one of the two ways.
fn run(way: &str, work: Work, plan: Plan) -> Measured {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/process_pool.py");
    let mut python = Command::new(INTERPRETER)
        .arg(script)
        .args([way, name(work), &plan.workers.to_string()])
        .args([work.under(plan), work.under(plan.warm_up())].into_iter().flat_map(numbers))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{INTERPRETER} could not be started: {error}"))?;
    match converse(&mut python, work.under(plan)) {
        Some(sample) => {
            python.wait()?;
            Ok(sample)
        }
        None => Err(complaint(python).into()),
    }
}

/// Says when to begin, and listens to what it took; `None` if there is no such answer.
fn converse(python: &mut Child, work: Work) -> Option<Sample> {
    let mut say = python.stdin.take()?;
    let mut lines = BufReader::new(python.stdout.as_mut()?).lines();
    lines.next()?.ok().filter(|line| line == "ready")?;
    let before = family::cpu();
    say.write_all(b"\n").ok()?;
    let answer = lines.next()?.ok()?;
    let cpu = family::cpu().saturating_sub(before);
    // It ends when `say` does.
    let mut numbers = answer.split(' ').map(str::parse);
    let wall = Duration::from_nanos(numbers.next()?.ok()?);
    let mut sample: Sample =
        [wall, cpu].map(|time| time.as_nanos() as f64 / work.operations() as f64).to_vec();
    if let Work::One { .. } = work {
        sample.extend(percentiles(numbers.collect::<Result<_, _>>().ok()?));
    }
    Some(sample)
}

/// What it said when it failed: the last line.
fn complaint(mut python: Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut python.stderr {
        // What could not be read is not there to be told.
        let _ = stderr.read_to_string(&mut text);
    }
    let status = python.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let first = text.lines().next().unwrap_or_default();
    // A traceback ends with what matters, other complaints begin with it.
    format!("{INTERPRETER}: {}; {status}", if first.starts_with("Traceback") { line } else { first })
}

/// The work's name in the script.
fn name(work: Work) -> &'static str {
    match work {
        Work::Calls { .. } => "calls",
        Work::Map { .. } => "map",
        Work::One { .. } => "one",
        Work::Bytes { .. } => "bytes",
        Work::BytesBoth { .. } => "bytes_both",
        Work::Spawn => "spawn",
        Work::ForkServer => "forkserver",
    }
}

/// The work's numbers, in the order of the script's parameters.
fn numbers(work: Work) -> Vec<String> {
    let numbers = match work {
        Work::Calls { rounds, calls } => vec![rounds, calls],
        Work::Map { items, chunk } => vec![items, chunk],
        Work::One { calls } | Work::Bytes { calls } | Work::BytesBoth { calls } => vec![calls],
        Work::Spawn | Work::ForkServer => vec![],
    };
    numbers.iter().map(usize::to_string).collect()
}
