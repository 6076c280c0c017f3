//! The traces, recorded again from CPython, where there is one.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::compare::{expected, folder};
use crate::listing;
use crate::processes::ignores_sigint;

/// Longer than any program takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// They sleep most of the time.
const AT_ONCE: usize = 10;
/// In real time nobody promises that a process isn't stopped for longer than two deadlines lie apart.
const ATTEMPTS: usize = 4;

/// CPython 3.13 or newer, if it is on the path.
fn python() -> Option<PathBuf> {
    const VERSION: &str = "import sys; assert sys.version_info >= (3, 13); print(sys.executable)";
    ["python3.13", "python3", "python3.14", "python3.15"].into_iter().find_map(|name| {
        let output = Command::new(name).args(["-c", VERSION]).stderr(Stdio::null()).output().ok()?;
        let path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(path.trim_end().into())
    })
}

#[test]
fn cpython_prints_the_same_traces() {
    let Some(python) = python() else {
        // Past the test harness, which shows what a test prints only if it fails.
        let note = "no CPython 3.13 or newer on the path: traces are compared as they were recorded";
        let _ = writeln!(io::stderr(), "{note}");
        return;
    };
    let programs = Mutex::new(listing::programs());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(program) = programs.lock().unwrap().pop_first() else { return };
                    if let Err(failure) = record_again(&python, &program) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} prints something else:\n{}", python.display(), failures.join("\n"));
}

fn record_again(python: &PathBuf, program: &str) -> Result<(), String> {
    if program.contains("sigint") && ignores_sigint() {
        return Ok(());
    }
    let wanted = expected(program);
    let mut got = String::new();
    for _ in 0..ATTEMPTS {
        got = output(python, program);
        if got == wanted {
            return Ok(());
        }
    }
    Err(format!("{program}\n-- recorded:\n{wanted}-- now:\n{got}"))
}

/// What a program prints.
fn output(python: &PathBuf, program: &str) -> String {
    let mut command = Command::new(python);
    let ours = std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("PYTHON"));
    command.env_clear().envs(ours).env("PYTHONDONTWRITEBYTECODE", "1").env("LC_ALL", "C.UTF-8");
    command.arg(format!("{program}.py")).current_dir(folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
            None => {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
        }
    };
    let text = reader.join().unwrap().unwrap_or_else(|error| format!("(not text: {error})\n"));
    if status.success() { text } else { format!("{text}({status})\n") }
}
