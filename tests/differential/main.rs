//! Random programs, run in three ways that must print the same: by CPython, by a plain model of asyncio's rules, and by
//! kumihimo.
//!
//! - `program.rs` and `primitive.rs` are the language; `generator.rs`, `situation.rs` and `contention.rs` make programs;
//!   `coverage.rs` counts what occurs in them.
//! - `python.rs` and `prelude.py`, with what is in `python/`, run them with CPython, on a virtual clock.
//! - `model/` is asyncio, transcribed. Read it beside CPython's sources.
//! - `facade.rs`, with `facade/`, runs them with kumihimo, on the current-thread flavour and the mock clock.
//! - `shrink.rs` and `report.rs` make a disagreement small, and print it.
//!
//! A program may wait for ever: on a lock that nobody releases, a queue that nobody fills. When nothing moves any more, the
//! main task cancels all that are left, again and again until none is left.
//!
//! `KUMIHIMO_FUZZ_PROGRAMS` is how many programs are run (2 000), `KUMIHIMO_FUZZ_SEED` where they come from: a number, or
//! `random`. `KUMIHIMO_FUZZ_FINDINGS` is how many disagreements are looked for (1).
//!
//! # What differs on purpose
//!
//! The Python side does these as kumihimo does; the places say "DIFFERS".
//!
//! - A panic, an exception that is neither an error nor a cancellation, leaves a group by itself, the first one, not within an
//!   `ExceptionGroup`.
//! - The error of a group's task goes to the group; others who await the task are cancelled.
//! - A task that was cancelled and, before that was delivered, ends with an error is cancelled: an error is a value, and
//!   for values this is asyncio's rule.
//! - `wait_for` with a coroutine and no time drops it at once, without a turn of the loop.
//! - A `BoundedSemaphore` that others released as well has all its permits at the end of an `async with`: there asyncio raises,
//!   and a guard that is dropped has nobody to raise to.
//!
//! And two accidents of CPython are undone. The order in which it visits sets (a group's tasks, those of `wait` and
//! `as_completed`) is that of creation here. A cancellation's message, which in CPython is there for the first who sees it, is
//! there for all in kumihimo; so the model has a switch, [`Messages`]: the first way beside CPython, the second
//! beside kumihimo.
//!
//! Not among the programs: two deadlines at the same time, or a loop that is late for several (the clock is virtual, and stops
//! at each), whose order is not defined or depends on the clock; two tasks that keep each other from ending for good; plain
//! futures; and what can't be written with guards, or is a panic: a lock that is released by who does not hold it, or held
//! for good; waiting or notifying while nobody holds the condition's lock.

mod contention;
mod coverage;
mod facade;
mod generator;
mod model;
mod outcome;
mod primitive;
mod program;
mod python;
mod random;
mod report;
mod shrink;
mod situation;

use std::sync::Arc;

use coverage::{Cell, Coverage};
use model::{Messages, Prediction};
use program::Coroutine;
use python::Python;
use random::Random;

/// How many programs are made, and run, at a time.
const BATCH: usize = 250;
/// Situations in a program.
const SITUATIONS: usize = 24;
/// One program in so many has none, but more of everything else.
const ANYTHING: usize = 6;
/// Situations are picked from among so many of the rarest.
const RARE: usize = 40;

struct Settings {
    programs: usize,
    seed: u64,
    /// How many disagreements are made small and printed.
    findings: usize,
}

impl Settings {
    fn from_env() -> Settings {
        let number = |name: &str, otherwise: usize| {
            let text = std::env::var(name).ok();
            text.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        let programs = number("KUMIHIMO_FUZZ_PROGRAMS", 2_000);
        let seed = match std::env::var("KUMIHIMO_FUZZ_SEED").as_deref() {
            Err(_) => 20_260_101,
            Ok("random") => std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64),
            Ok(text) => text.parse().expect("KUMIHIMO_FUZZ_SEED is a number, or `random`"),
        };
        eprintln!("{programs} programs, KUMIHIMO_FUZZ_SEED={seed}");
        Settings { programs, seed, findings: number("KUMIHIMO_FUZZ_FINDINGS", 1) }
    }
}

/// Programs, and what the model says of them.
struct Programs {
    random: Random,
    messages: Messages,
    coverage: Coverage,
    unfit: usize,
}

impl Programs {
    fn new(seed: u64, messages: Messages) -> Programs {
        Programs { random: Random::new(seed), messages, coverage: Coverage::default(), unfit: 0 }
    }

    fn next(&mut self) -> (Arc<Coroutine>, Vec<String>) {
        loop {
            let root = if self.random.one_in(ANYTHING) {
                generator::anything(&mut self.random)
            } else {
                let rarest = self.coverage.rarest();
                let situations: Vec<Cell> =
                    (0..SITUATIONS).map(|_| self.random.pick(&rarest[..RARE])).collect();
                generator::with_situations(&mut self.random, &situations)
            };
            let Prediction { trace, coverage, unfit } = model::run(&root, self.messages);
            if unfit {
                self.unfit += 1;
                continue;
            }
            self.coverage.add(&coverage);
            return (root, trace);
        }
    }
}

/// Compares the model's traces of many programs with those of `run`, which is called `name`.
fn compare(name: &str, messages: Messages, mut run: impl FnMut(&[Arc<Coroutine>]) -> Vec<Vec<String>>) {
    let settings = Settings::from_env();
    let mut programs = Programs::new(settings.seed, messages);
    let mut left = settings.programs;
    let mut found = Vec::new();
    while left > 0 && found.len() < settings.findings {
        let (roots, predicted): (Vec<_>, Vec<_>) = (0..left.min(BATCH)).map(|_| programs.next()).unzip();
        left -= roots.len();
        let traces = run(&roots);
        let differ = (0..roots.len()).filter(|at| predicted[*at] != traces[*at]);
        for at in differ.take(settings.findings - found.len()) {
            found.push(disagreement(name, messages, &roots[at], &mut run));
        }
    }
    assert!(found.is_empty(), "disagreements:\n{}", found.join("\n\n"));
    println!("{}", programs.coverage);
    println!(
        "{} programs were not run: two of their deadlines were equal, or they do not end",
        programs.unfit
    );
    // 50 of 2 000. Fewer programs, as under a sanitizer, can't spread as evenly: there each has to be met.
    let often = if settings.programs < 2_000 { settings.programs / 100 } else { settings.programs / 40 };
    let gaps = programs.coverage.gaps(often);
    assert!(gaps.is_empty(), "in too few programs: {gaps:#?}");
}

/// A program that is run differently, made small.
fn disagreement(
    name: &str,
    messages: Messages,
    root: &Arc<Coroutine>,
    run: &mut impl FnMut(&[Arc<Coroutine>]) -> Vec<Vec<String>>,
) -> String {
    let smallest = shrink::shrink(root.clone(), |candidates| {
        let predictions = candidates.iter().map(|root| model::run(root, messages));
        let differs =
            |(prediction, trace): (Prediction, Vec<String>)| !prediction.unfit && prediction.trace != trace;
        predictions.zip(run(candidates)).map(differs).collect()
    });
    let predicted = model::run(&smallest, messages).trace;
    let trace = run(std::slice::from_ref(&smallest)).remove(0);
    report::disagreement(&smallest, ["the model", name], [&predicted, &trace])
}

#[test]
fn model_agrees_with_cpython() {
    let Some(python) = Python::find() else {
        eprintln!("skipped: there is no python3.13 or later on PATH");
        return;
    };
    compare("CPython", Messages::LostOnceSeen, |roots| python.run(roots));
}

#[test]
fn kumihimo_agrees_with_the_model() {
    compare("kumihimo", Messages::Kept, |roots| roots.iter().map(facade::run).collect());
}

#[test]
fn what_does_not_matter_is_shrunk_away() {
    let (program, _) = Programs::new(1, Messages::Kept).next();
    let panics = |root: &Coroutine| {
        let mut coverage = Coverage::default();
        coverage.constructs(root);
        coverage.constructs_of("panic") > 0
    };
    assert!(panics(&program), "take another seed");
    let shrunk = shrink::shrink(program, |candidates| candidates.iter().map(|root| panics(root)).collect());
    // The panic, and whatever makes the tasks that it is in.
    let source = python::source("program", &shrunk);
    let others = source.lines().filter(|line| line.contains("log(") && !line.contains("log(w.spawn("));
    assert!(source.contains("raise Panic") && others.count() == 0, "{source}");
}
