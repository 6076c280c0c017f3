//! Plants mistakes into copies of the code, and shows that the models catch them: a model that cannot fail shows nothing.
//!
//! ```text
//! cargo run --release -p kumihimo-loom-tests                  everything: orderings, then mistakes
//! cargo run --release -p kumihimo-loom-tests -- --orderings   each ordering and fence, weakened by a program
//! cargo run --release -p kumihimo-loom-tests -- --mistakes    those that were written by hand
//! ... -- --part 3/10                                          every tenth, from the third on
//! ... -- FILTER                                               those whose name, or file, holds this
//! ```
//!
//! The last line counts those that were caught, that are redundant for a reason, and that survived. A survivor fails the run.

mod copy;
mod mutations;
mod orderings;
mod trial;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::copy::{Copy, Verdict};
use crate::mutations::MUTATIONS;
use crate::orderings::{REDUNDANT, Weakening};
use crate::trial::Outcome;

/// A model that has not failed by then counts as fooled. They take seconds; a build may take longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is asked for.
struct Args {
    orderings: bool,
    mistakes: bool,
    /// Also what is known to be redundant.
    all: bool,
    /// Every so-manieth, from this one on.
    part: (usize, usize),
    filter: String,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args =
            Args { orderings: true, mistakes: true, all: false, part: (0, 1), filter: String::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--orderings" => args.mistakes = false,
                "--mistakes" => args.orderings = false,
                "--all" => args.all = true,
                "--part" => {
                    let part = words.next().unwrap_or_default();
                    let numbers: Option<(usize, usize)> =
                        part.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                    args.part = match numbers {
                        Some((part, of)) if of > 0 => (part % of, of),
                        _ => return Err(format!("--part {part}: it is to be two numbers, like 3/10")),
                    };
                }
                filter => args.filter = filter.to_owned(),
            }
        }
        Ok(args)
    }

    /// Those that are to be tried.
    fn pick<'a, T>(&self, all: &'a [T], matches: impl Fn(&T) -> bool) -> Vec<&'a T> {
        let (part, of) = self.part;
        let all = all.iter().enumerate().filter(|(at, one)| at % of == part && matches(one));
        all.map(|(_, one)| one).collect()
    }
}

/// What became of all.
#[derive(Default)]
struct Counts {
    caught: usize,
    redundant: usize,
    survived: usize,
}

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    let mut counts = Counts::default();
    if args.orderings {
        try_orderings(&args, &mut counts);
    }
    if args.mistakes {
        try_mistakes(&args, &mut counts);
    }
    println!(
        "{} caught, {} redundant, {} survived, {:.0?}",
        counts.caught,
        counts.redundant,
        counts.survived,
        began.elapsed()
    );
    if counts.survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Weakens each ordering, and leaves out each fence.
fn try_orderings(args: &Args, counts: &mut Counts) {
    let copy = Copy::new("orderings");
    let mut all = Vec::new();
    for (file, models) in orderings::FILES {
        all.extend(copy.rewrite(file, |text| orderings::plant(file, models, text)));
    }
    for package in ["executor", "sync", "blocking-pool", "reactor"] {
        copy.rewrite(&format!("{package}/src/sync.rs"), |text| (text.to_owned() + orderings::SWITCH, ()));
    }
    let programs = copy.build_models();
    println!("built; {} weakenings", all.len());
    let picked =
        args.pick(&all, |one| one.file.contains(&args.filter) || one.to_string().contains(&args.filter));
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(counts));
    let try_one = |one: &Weakening| {
        let known = REDUNDANT.iter().find(|known| known.covers(one));
        if let Some(known) = known
            && !args.all
        {
            println!("{one}: redundant: {}", known.reason);
            return counts.lock().expect("nobody panics").redundant += 1;
        }
        let began = Instant::now();
        let run = |bound| trial::run(&programs[one.package()], one.models, &one.switch(), bound, PATIENCE);
        // Most show with few preemptions, in a fraction of the time. Without the variable, models are as they always are.
        let mut outcome = run(Some("2"));
        if matches!(outcome, Outcome::Passed) {
            outcome = run(None);
        }
        let time = began.elapsed();
        let mut counts = counts.lock().expect("nobody panics");
        match outcome {
            Outcome::Caught { model, interleaving } => {
                let interleaving = interleaving.map_or("?".to_owned(), |number| number.to_string());
                println!("{one}: caught by {model} at interleaving {interleaving} ({time:.1?})");
                counts.caught += 1;
            }
            Outcome::Crashed => {
                println!("{one}: caught by a crash ({time:.1?})");
                counts.caught += 1;
            }
            outcome => {
                println!("{one}: SURVIVED ({outcome:?}, {time:.1?})");
                match known {
                    Some(_) => counts.redundant += 1,
                    None => counts.survived += 1,
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(one) = picked.get(next.fetch_add(1, Relaxed)) {
                    try_one(one);
                }
            });
        }
    });
}

/// Plants each of the mistakes that were written by hand.
fn try_mistakes(args: &Args, counts: &mut Counts) {
    let copy = Copy::new("mutants");
    for mutation in args.pick(MUTATIONS, |mutation| mutation.matches(&args.filter)) {
        let began = Instant::now();
        let verdict = copy.try_mutation(mutation, PATIENCE);
        println!("{:<34} {:<62} {verdict} ({:.0?})", mutation.name, mutation.model, began.elapsed());
        match verdict {
            Verdict::Caught => counts.caught += 1,
            Verdict::Missed | Verdict::Broken => counts.survived += 1,
        }
    }
}
