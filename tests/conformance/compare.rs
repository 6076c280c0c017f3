//! Runs of a scenario, compared with what CPython printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use kumihimo::{Builder, Runner};

use crate::trace::{Line, OnOneThread, Recording, Show, printed, promised};

/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// In real time nobody promises that a thread isn't stopped for longer than two deadlines lie apart.
const ATTEMPTS_IN_REAL_TIME: usize = 4;

/// A ported program.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) clock: Clock,
    pub(crate) flavours: Flavours,
    pub(crate) program: fn(Builder),
}

/// The clock on which a scenario is usually run; each is run once on the real one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Mock,
    /// For scenarios that block a thread for a time.
    Real,
}

/// The kinds of loop that a scenario is run on: one thread, and workers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavours {
    All,
    /// For those that count asyncio's passes.
    OneThread,
}

/// The numbers of workers.
const WORKERS: [usize; 3] = [1, 2, 4];

impl Scenario {
    /// Runs the scenario on each flavour; gives the number of runs.
    ///
    /// On one thread its trace must be CPython's, byte for byte; on workers, where nothing is promised about which
    /// task goes first, the same lines, each task's own in order (what is printed outside of tasks counts as one
    /// task's; what is [`OnOneThread`] does not count).
    pub(crate) fn run(&self, clock: Clock) -> Result<usize, String> {
        let reference = self.attempt(clock, || self.run_on_one_thread(clock))?;
        if self.flavours == Flavours::OneThread {
            return Ok(1);
        }
        for workers in WORKERS {
            self.attempt(clock, || self.run_on_workers(workers, clock, &reference))?;
        }
        Ok(1 + WORKERS.len())
    }

    /// Where the machine was too busy for a run in real time, tries again.
    fn attempt<T>(&self, clock: Clock, run: impl Fn() -> Result<T, String>) -> Result<T, String> {
        let mut result = run();
        for _ in 1..ATTEMPTS_IN_REAL_TIME {
            match &result {
                Err(difference) if clock == Clock::Real => eprintln!("in real time, once more: {difference}"),
                _ => break,
            }
            result = run();
        }
        result
    }

    fn run_on_one_thread(&self, clock: Clock) -> Result<Vec<Line>, String> {
        let lines = self.record(Runner::builder().current_thread(), clock)?;
        if text(&lines) == expected(self.name) {
            Ok(lines)
        } else {
            Err(self.difference("one thread", &lines))
        }
    }

    /// Which task prints what is known from a run on one thread.
    fn run_on_workers(&self, workers: usize, clock: Clock, reference: &[Line]) -> Result<(), String> {
        let lines = self.record(Runner::builder().worker_threads(workers), clock)?;
        let same = by_task(&lines) == by_task(reference);
        if same { Ok(()) } else { Err(self.difference(&format!("{workers} workers"), &lines)) }
    }

    /// What one run prints, from a thread of its own: one that hangs must not take the test along.
    fn record(&self, builder: Builder, clock: Clock) -> Result<Vec<Line>, String> {
        let recording = Recording::default();
        let (here, workers) = (recording.clone(), recording.clone());
        let builder = builder.start_paused(clock == Clock::Mock).on_thread_start(move || workers.enter());
        let program = self.program;
        let (over, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            here.enter();
            let result = catch_unwind(AssertUnwindSafe(|| program(builder)));
            let _ = over.send(result.is_ok());
        });
        let went_well = ended.recv_timeout(PATIENCE);
        if let Ok(true) = went_well {
            thread.join().expect("it has ended well");
            return Ok(recording.lines());
        }
        let how = if went_well.is_ok() { "a panic" } else { "a run without end" };
        Err(self.difference(how, &recording.lines()))
    }

    fn difference(&self, where_: &str, lines: &[Line]) -> String {
        let mut text = format!("{}, {where_}\n-- CPython:\n{}-- kumihimo:\n", self.name, expected(self.name));
        for (task, line) in lines {
            let task = task.map_or_else(|| "no task".into(), |task| format!("task {task}"));
            text += &format!("{}    [{task}]\n", printed(line));
        }
        text
    }
}

/// A trace as CPython wrote it.
fn text(lines: &[Line]) -> String {
    lines.iter().map(|(_, line)| format!("{}\n", printed(line))).collect()
}

/// Each task's own lines, in order; the tasks in no particular order.
fn by_task<T: PartialEq>(lines: &[(T, String)]) -> Vec<Vec<String>> {
    let mut tasks: Vec<(&T, Vec<String>)> = Vec::new();
    for (task, line) in lines {
        let line = promised(line);
        match tasks.iter_mut().find(|(id, _)| *id == task) {
            Some((_, own)) => own.push(line),
            None => tasks.push((task, vec![line])),
        }
    }
    let mut tasks: Vec<_> = tasks.into_iter().map(|(_, own)| own).collect();
    tasks.sort();
    tasks
}

/// Where the programs and their traces are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/scenarios")
}

/// What CPython printed.
pub(crate) fn expected(name: &str) -> String {
    let path = folder().join(format!("{name}.expected"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_order_within_a_task_counts() {
    let lines = |lines: [(u32, &str); 3]| lines.map(|(task, line)| (task, line.to_owned()));
    let reference = lines([(1, "a"), (2, "b"), (1, "c")]);
    let later = lines([(8, "b"), (7, "a"), (7, "c")]);
    assert_eq!(by_task(&later), by_task(&reference));
    let swapped = lines([(1, "c"), (2, "b"), (1, "a")]);
    assert_ne!(by_task(&swapped), by_task(&reference));
    let elsewhere = lines([(1, "a"), (2, "b"), (2, "c")]);
    assert_ne!(by_task(&elsewhere), by_task(&reference));
}

#[test]
fn what_is_promised_on_one_thread_counts_there_only() {
    let lines = |first: &str| [((), format!("{first} {} {first}", OnOneThread(first).show()))];
    assert_eq!(printed(&lines("a")[0].1), "a a a");
    assert_eq!(by_task(&lines("a")), [["a _ a"]]);
    assert_ne!(by_task(&lines("a")), by_task(&lines("b")));
}
