//! The example crawler, and its twin in Python: what they print, that Ctrl-C ends them cleanly, and how long their sources are.

#[path = "support/example.rs"]
mod example;
#[path = "support/interruptible.rs"]
mod interruptible;

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use interruptible::interruptible;
use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes this long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time for a request that is given up on in tests that wait for some, however slow the machine: what answers, answers
/// after a tenth of a second at most.
const LIMIT: &str = "2";

// === the programs ===

fn source(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/crawler").join(name))
        .unwrap()
}

/// The example.
fn crawler() -> Command {
    Command::new(example::executable("crawler"))
}

/// The twin, if there is a CPython 3.13 or newer on the path.
fn twin() -> Option<Command> {
    const VERSION: &str = "import sys; assert sys.version_info >= (3, 13); print(sys.executable)";
    let python = ["python3.13", "python3", "python3.14", "python3.15"].into_iter().find_map(|name| {
        let output = Command::new(name).args(["-c", VERSION]).stderr(Stdio::null()).output().ok()?;
        let path = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(PathBuf::from(path.trim_end()))
    });
    let Some(python) = python else {
        // Past the test harness, which shows what a test prints only if it fails.
        let _ = writeln!(io::stderr(), "no CPython 3.13 or newer on the path: the crawler's twin is not run");
        return None;
    };
    let mut twin = Command::new(python);
    // Each line when it is printed, so that the test knows how far it is.
    twin.arg("-u").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/crawler/crawler.py"));
    Some(twin)
}

/// Both, or the example alone.
fn both() -> Vec<Command> {
    [Some(crawler()), twin()].into_iter().flatten().collect()
}

/// A run of either.
struct Run {
    child: Child,
    /// What it has printed so far.
    lines: Vec<String>,
    output: BufReader<std::process::ChildStdout>,
}

impl Run {
    fn start(mut program: Command, arguments: &[&str]) -> Run {
        program.args(arguments).stdout(Stdio::piped());
        interruptible(&mut program);
        let mut child = program.spawn().expect("the program should start");
        let output = BufReader::new(child.stdout.take().unwrap());
        Run { child, lines: Vec::new(), output }
    }

    fn line(&mut self) -> bool {
        let mut line = String::new();
        let more = self.output.read_line(&mut line).unwrap() > 0;
        self.lines.extend(more.then(|| line.trim_end().into()));
        more
    }

    /// Reads to the end. Gives the exit status, and what it printed.
    fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        // Ends when the program does.
        while self.line() {}
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it should end: {:?}", self.lines);
            thread::sleep(Duration::from_millis(5));
        }
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.lines))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The summary without the time that it took.
fn summary(lines: &[String]) -> &str {
    let last = lines.last().expect("a summary");
    last.split_once(" in ").unwrap_or_else(|| panic!("a summary, not {last}")).0
}

/// The numbers of a summary: fetched, found, retries, time-outs.
fn numbers(summary: &str) -> [usize; 4] {
    let numbers: Vec<usize> = summary.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("four numbers in {summary:?}"))
}

// === the tests ===

#[test]
fn all_that_can_be_fetched_is() {
    let runs: Vec<_> = both().into_iter().map(|program| Run::start(program, &["40", "8", LIMIT])).collect();
    for run in runs {
        let (status, lines) = run.wait();
        assert_eq!(status, Some(0), "{lines:?}");
        // Pages 10, 21 and 32 never answer, three times; 4, 9, .. 39 fail once.
        assert_eq!(summary(&lines), "fetched 37 of 40 pages, 14 retries, 9 time-outs");
        let about = |page: usize| lines.iter().filter(|line| line.starts_with(&format!("/{page}: "))).count();
        assert_eq!([about(0), about(4), about(10), about(39)], [0, 1, 3, 1], "{lines:?}");
    }
}

#[test]
fn one_at_a_time_and_all_at_once() {
    for at_once in ["1", "1000"] {
        for program in both() {
            let (status, lines) = Run::start(program, &["10", at_once, "20"]).wait();
            assert_eq!(
                (status, summary(&lines)),
                (Some(0), "fetched 10 of 10 pages, 2 retries, 0 time-outs")
            );
        }
    }
}

#[test]
fn a_site_of_one_page() {
    for program in both() {
        let (status, lines) = Run::start(program, &["1"]).wait();
        assert_eq!((status, summary(&lines)), (Some(0), "fetched 1 of 1 pages, 0 retries, 0 time-outs"));
    }
}

#[test]
fn ctrl_c_ends_it_at_once_with_a_summary() {
    for program in both() {
        // Whoever waits for a silent page waits for ten minutes, unless it is cancelled.
        let mut run = Run::start(program, &["100000", "8", "600"]);
        while run.lines.len() < 8 {
            assert!(run.line(), "it should run on: {:?}", run.lines);
        }
        let pressed = Instant::now();
        kill_process(Pid::from_child(&run.child), Signal::INT).unwrap();
        let (status, lines) = run.wait();
        assert!(pressed.elapsed() < Duration::from_secs(20), "it took {:?}", pressed.elapsed());
        assert_eq!(status, Some(130), "{lines:?}");
        let [fetched, found, retries, timeouts] = numbers(summary(&lines));
        assert!(fetched < found && retries >= 8 && timeouts == 0, "{lines:?}");
    }
}

#[test]
fn bad_arguments_are_refused_and_help_is_given() {
    for arguments in
        [["0", "8", "1"], ["60", "0", "1"], ["60", "8", "-1"], ["60", "8", "nan"], ["x", "8", "1"]]
    {
        for mut program in both() {
            let output = program.args(arguments).stderr(Stdio::piped()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        }
    }
    for mut program in both() {
        let output = program.arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("usage: crawler"));
    }
}

#[test]
fn it_is_shorter_than_in_python() {
    let (rust, python) = (source("main.rs"), source("crawler.py"));
    // The formatters, rustfmt and black, are given the same width.
    assert!(python.lines().chain(rust.lines()).all(|line| line.chars().count() <= 110));
    let code = |line: &&str| !line.trim().is_empty();
    let rust = rust.lines().filter(code).filter(|line| !line.trim().starts_with("//")).count();
    let mut in_docstring = false;
    let python = python.lines().filter(code).filter(|line| {
        let line = line.trim();
        let quotes = line.matches("\"\"\"").count();
        let was_in_docstring = in_docstring;
        in_docstring ^= quotes % 2 == 1;
        !was_in_docstring && quotes == 0 && !line.starts_with('#')
    });
    let python = python.count();
    assert!(rust < python, "{rust} lines in Rust, {python} in Python");
}
