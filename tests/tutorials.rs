//! The examples print what CPython printed for the same tutorial programs (`tests/conformance/scenarios`).
//!
//! Each is run twice. As built, as its users run it: on all processors, in real time. And compiled into this test, on a mock
//! clock, on one thread in asyncio's order and on 1, 2 and 4 workers; there, the crate root stands in for `kumihimo`, with
//! a `main` attribute that makes a test of an example's main function, and a `println!` that keeps what is printed.

// The examples come in once for each flavour.
#![allow(clippy::duplicate_mod)]

extern crate kumihimo as facade;
extern crate self as kumihimo;

#[path = "conformance/listing.rs"]
mod listing;

use std::any::type_name;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

// The example's `main` becomes a test; `test` stays what it is.
pub use std::prelude::v1::test;

pub use facade::test as main;
pub use facade::*;

/// Examples, and the programs that they are ports of.
const EXAMPLES: [(&str, &str); 26] = [
    ("blocking_read", "tutorial_03_blocking_read"),
    ("breakfast", "tutorial_25_breakfast"),
    ("concurrent_sleeps", "tutorial_04_sequential_or_concurrent"),
    ("create_task", "tutorial_09_create_task"),
    ("display_date", "tutorial_14_display_date"),
    ("dont_wait", "tutorial_10_dont_wait"),
    ("empty_main", "tutorial_02_empty_main"),
    ("executors", "tutorial_19_executors"),
    ("factorial", "tutorial_15_factorial"),
    ("first_task", "tutorial_23_first_task"),
    ("gather", "tutorial_08_gather"),
    ("hello_world", "tutorial_11_hello_world"),
    ("idle_time", "tutorial_24_idle_time"),
    ("manual_loop", "tutorial_26_manual_loop"),
    ("nested", "tutorial_13_nested"),
    ("nested_await", "tutorial_01_nested_await"),
    ("run", "tutorial_20_run"),
    ("run_until_complete", "tutorial_21_run_until_complete"),
    ("say_after", "tutorial_12_say_after"),
    ("sequential", "tutorial_07_sequential"),
    ("shared_request", "tutorial_06_shared_request"),
    ("shield", "tutorial_16_shield"),
    ("to_thread", "tutorial_18_to_thread"),
    ("wait_five_seconds", "tutorial_22_wait_five_seconds"),
    ("wait_for", "tutorial_17_wait_for"),
    ("wait_modes", "tutorial_05_wait_modes"),
];

/// Examples that are ports of nothing, and have a test of their own: `tests/NAME.rs`.
const OTHERS: [&str; 4] = ["connection_pool", "pipeline", "primes", "read_files"];

/// What CPython printed, with Rust's word for nothing where `{:?}` prints it.
fn expected(program: &str) -> Vec<String> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/conformance/scenarios/{program}.expected"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let nothing = ["x is none", "run gives none"];
    text.lines()
        .map(|line| if nothing.contains(&line) { line.replace("none", "()") } else { line.into() })
        .collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Lines that were printed since the test began, which holds `ONE_AT_A_TIME`.
static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

macro_rules! println {
    ($($arg:tt)*) => {{
        // First the arguments, which may await; then the lock.
        let line = format!($($arg)*);
        crate::PRINTED.lock().unwrap().push(line);
    }};
}

macro_rules! flavours {
    ($($flavour:ident)*) => {$(
        #[path = "."]
        mod $flavour {
            #[path = "../examples/blocking_read.rs"]
            mod blocking_read;
            #[path = "../examples/breakfast.rs"]
            mod breakfast;
            #[path = "../examples/concurrent_sleeps.rs"]
            mod concurrent_sleeps;
            #[path = "../examples/create_task.rs"]
            mod create_task;
            #[path = "../examples/display_date.rs"]
            mod display_date;
            #[path = "../examples/dont_wait.rs"]
            mod dont_wait;
            #[path = "../examples/executors.rs"]
            mod executors;
            #[path = "../examples/factorial.rs"]
            mod factorial;
            #[path = "../examples/first_task.rs"]
            mod first_task;
            #[path = "../examples/gather.rs"]
            mod gather;
            #[path = "../examples/idle_time.rs"]
            mod idle_time;
            #[path = "../examples/nested.rs"]
            mod nested;
            #[path = "../examples/nested_await.rs"]
            mod nested_await;
            #[path = "../examples/say_after.rs"]
            mod say_after;
            #[path = "../examples/sequential.rs"]
            mod sequential;
            #[path = "../examples/shared_request.rs"]
            mod shared_request;
            #[path = "../examples/shield.rs"]
            mod shield;
            #[path = "../examples/to_thread.rs"]
            mod to_thread;
            #[path = "../examples/wait_five_seconds.rs"]
            mod wait_five_seconds;
            #[path = "../examples/wait_for.rs"]
            mod wait_for;
            #[path = "../examples/wait_modes.rs"]
            mod wait_modes;
        }
    )*};
}

flavours!(one_thread one_worker two_workers four_workers);

/// What the attribute calls, in place of the facade's.
pub mod __private {
    use super::*;

    /// Runs an example's main under the flavour that its module's path names, and looks at what it printed.
    pub fn run_with<F: Future>(_: Builder, main: F) -> F::Output {
        let mut path = type_name::<F>().split("::").skip(1);
        let (flavour, example) = (path.next().unwrap(), path.next().unwrap());
        let builder = Runner::builder().start_paused(true);
        let builder = match flavour {
            "one_thread" => builder.current_thread(),
            "one_worker" => builder.worker_threads(1),
            "two_workers" => builder.worker_threads(2),
            "four_workers" => builder.worker_threads(4),
            other => panic!("no flavour {other}"),
        };
        let (_, program) = EXAMPLES.iter().find(|(name, _)| *name == example).expect("a known example");

        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        PRINTED.lock().unwrap().clear();
        let output = facade::__private::run_with(builder, main);
        let printed = PRINTED.lock().unwrap().clone();
        if flavour == "one_thread" {
            assert_eq!(printed, expected(program));
        } else {
            // Which task goes first is promised on one thread only.
            assert_eq!(sorted(printed), sorted(expected(program)));
        }
        output
    }
}

/// Where Cargo puts the examples that it builds along with the tests.
fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join(example);
    assert!(path.exists(), "{} is missing: run `cargo build --examples` first", path.display());
    path
}

#[test]
fn the_programs_run_in_real_time() {
    let running = EXAMPLES.map(|(example, program)| {
        let child = Command::new(binary(example)).stdout(std::process::Stdio::piped()).spawn().unwrap();
        (example, program, child)
    });
    for (example, program, child) in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{example}: {}", output.status);
        let printed = String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect();
        assert_eq!(sorted(printed), sorted(expected(program)), "{example}");
    }
}

#[test]
fn every_example_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let is_tested = OTHERS.contains(&name) || EXAMPLES.iter().any(|(example, _)| *example == name);
        assert!(is_tested, "{name} is not compared with anything");
    }
}

#[test]
fn no_tutorial_is_forgotten() {
    let ported = EXAMPLES.map(|(_, program)| program);
    listing::none_is_forgotten(listing::is_tutorial, &ported);
}
