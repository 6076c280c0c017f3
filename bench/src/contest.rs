//! The contest: each row by each contender in turn, and the medians.

use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::measure::{Metric, Plan, Sample, median, process_cpu};
use crate::rows::{Entry, Measured};
use crate::runtimes::Contender;
use crate::{chart, child, machine, report};

/// Threads that may stay between turns: main, and async-io's helper, which is parked while no smol runs.
const STANDING_THREADS: usize = 2;

/// How long to wait for the threads of the turn before to end.
const SETTLING: Duration = Duration::from_secs(3);

/// What one row came to.
pub(crate) struct Outcome {
    /// The row.
    pub(crate) row: Entry,
    /// The medians of each contender, one per metric of the row.
    medians: Vec<(Contender, Sample)>,
    /// What went wrong.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// A made-up outcome.
    #[cfg(test)]
    pub(crate) fn of(row: Entry, medians: Vec<(Contender, Sample)>) -> Outcome {
        Outcome { row, medians, notes: Vec::new() }
    }

    /// A contender's median.
    pub(crate) fn value(&self, contender: Contender, metric: Metric) -> Option<f64> {
        let at = self.row.metrics.iter().position(|&other| other == metric)?;
        self.medians.iter().find(|(other, _)| *other == contender).map(|(_, sample)| sample[at])
    }

    /// The better peer's median.
    pub(crate) fn better_peer(&self, metric: Metric) -> Option<f64> {
        self.row.group.peers().filter_map(|peer| self.value(peer, metric)).reduce(f64::min)
    }

    /// How many times better kumihimo is than the better peer; below 1 it is worse.
    pub(crate) fn ratio(&self, metric: Metric) -> Option<f64> {
        let ratio = self.better_peer(metric)? / self.value(Contender::Kumihimo, metric)?;
        ratio.is_finite().then_some(ratio)
    }
}

/// Everything that a page says about a contest.
pub(crate) struct Contest {
    /// One for each row, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// CPU time per second of the process between turns.
    pub(crate) parked: Duration,
}

/// Runs the contest that `args` describe, prints it, and writes the page if asked to.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if args.list {
        for row in &args.rows {
            println!("{:24} {}", row.name, row.work);
        }
        return Ok(());
    }
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: add --release for figures that mean anything.");
    }
    println!("{}", report::heading(args));
    let mut outcomes = Vec::with_capacity(args.rows.len());
    let mut group = None;
    for &row in &args.rows {
        if group.replace(row.group) != Some(row.group) {
            println!("{}", report::columns(row.group, args));
        }
        let outcome = contend(row, args);
        println!("{}", report::line(&outcome, args));
        outcomes.push(outcome);
    }
    let contest = Contest { outcomes, parked: parked_cost() };
    println!("{}", report::footing(&contest));
    if args.write { write(&contest, args) } else { Ok(()) }
}

/// All turns of one row.
fn contend(row: Entry, args: &Args) -> Outcome {
    let mut samples: Vec<(Contender, Vec<Sample>)> =
        args.contenders_of(row.group).map(|who| (who, Vec::new())).collect();
    let mut notes = Vec::new();
    for _ in 0..args.rounds.min(row.most_rounds) {
        // Who fails, or has no such row, is out of it.
        samples.retain_mut(|(contender, samples)| {
            notes.extend(settle(row));
            match take_turn(row, *contender, args) {
                Some(Ok(sample)) => {
                    samples.push(sample);
                    true
                }
                Some(Err(error)) => {
                    notes.push(format!("{}, {}: {error}", row.name, contender.name()));
                    false
                }
                None => false,
            }
        });
    }
    let medians = samples.into_iter().map(|(contender, samples)| {
        let column = |at: usize| median(&samples.iter().map(|sample| sample[at]).collect::<Vec<_>>());
        (contender, (0..row.metrics.len()).map(column).collect())
    });
    Outcome { row, medians: medians.collect(), notes }
}

/// One turn of one contender, here or in a fresh process.
fn take_turn(row: Entry, contender: Contender, args: &Args) -> Option<Measured> {
    let plan = Plan { workers: row.workers.unwrap_or(args.workers), scale: args.scale };
    if row.fresh_process {
        child::ask(&child::Request::new(row.name, contender, plan))
    } else {
        (row.turn)(contender, plan)
    }
}

/// Waits until the threads of the turn before have ended, so that no turn pays for another's.
fn settle(row: Entry) -> Option<String> {
    let start = Instant::now();
    while machine::threads() > STANDING_THREADS {
        if start.elapsed() > SETTLING {
            return Some(format!("{}: {} threads did not end after a turn", row.name, machine::threads()));
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

/// The CPU time that this process uses in a second in which it does nothing: what parked peers cost a turn.
fn parked_cost() -> Duration {
    let before = process_cpu();
    thread::sleep(Duration::from_secs(1));
    process_cpu() - before
}

/// Writes the page and the chart into the workspace's docs folder.
fn write(contest: &Contest, args: &Args) -> Result<(), String> {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let pages =
        [("benchmarks.md", report::page(contest, args)), ("benchmarks.svg", chart::draw(&contest.outcomes))];
    std::fs::create_dir_all(&docs).map_err(|error| format!("{}: {error}", docs.display()))?;
    for (name, text) in pages {
        std::fs::write(docs.join(name), text).map_err(|error| format!("docs/{name}: {error}"))?;
        println!("wrote docs/{name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    #[test]
    fn ratios_are_to_the_better_peer_of_each_metric() {
        let row = rows::find("spawn_join").expect("there is one");
        let outcome = Outcome::of(
            row,
            vec![
                (Contender::Kumihimo, vec![100.0, 200.0]),
                (Contender::Tokio, vec![300.0, 400.0]),
                (Contender::Smol, vec![250.0, 900.0]),
            ],
        );
        assert_eq!(outcome.ratio(Metric::Wall), Some(2.5));
        assert_eq!(outcome.ratio(Metric::Cpu), Some(2.0));
        assert_eq!(outcome.ratio(Metric::P99), None);
    }
}
