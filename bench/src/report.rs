//! What the contest prints, and the page it writes.

use std::fmt::Write;

use crate::args::Args;
use crate::contest::{Contest, Outcome};
use crate::machine;
use crate::measure::{Metric, Scale};
use crate::rows::Entry;
use crate::runtimes::Contender;

/// The tables, by what their rows measure.
const TIMES: &[Metric] = &[Metric::Wall, Metric::Cpu];
/// See `TIMES`.
const LATENCIES: &[Metric] = &[Metric::P50, Metric::P99, Metric::P999];
/// See `TIMES`.
const RESOURCES: &[Metric] = &[Metric::Bytes, Metric::IdleCpu];

/// The peers' packages that a reader may want to know the version of.
const PACKAGES: &[&str] = &["tokio", "smol", "async-executor", "async-io", "blocking", "polling"];

/// The first lines on the terminal.
pub(crate) fn heading(args: &Args) -> String {
    let workers = args.workers;
    let columns: Vec<_> = args.contenders.iter().map(|contender| contender.name()).collect();
    format!(
        "{}; {workers} workers; {}; {} rounds, medians{}\n{}\nns per operation, wall / CPU; {}; ratio: better peer / kumihimo",
        machine::describe(),
        machine::today(),
        args.rounds,
        if args.scale == Scale::Quick { "; QUICK: not to be quoted" } else { "" },
        versions(),
        columns.join(", "),
    )
}

/// One row on the terminal.
pub(crate) fn line(outcome: &Outcome, args: &Args) -> String {
    let mut line = String::new();
    for table in [TIMES, LATENCIES, RESOURCES] {
        let metrics = shared(&outcome.row, table);
        if metrics.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push('\n');
        }
        let _ = write!(line, "{:24}", outcome.row.name);
        for &contender in &args.contenders {
            let _ = write!(line, " | {:>24}", cell(outcome, contender, &metrics));
        }
        let _ = write!(line, " | {}", ratios(outcome, &metrics));
    }
    for note in &outcome.notes {
        let _ = write!(line, "\n  ! {note}");
    }
    line
}

/// The last lines on the terminal.
pub(crate) fn footing(contest: &Contest) -> String {
    let mut text = format!("parked: {}", parked(contest));
    if let Some(mean) = scheduling_mean(&contest.outcomes) {
        let _ = write!(text, "\n{mean}");
    }
    text
}

/// docs/benchmarks.md
pub(crate) fn page(contest: &Contest, args: &Args) -> String {
    let outcomes = &contest.outcomes;
    let quick = match args.scale {
        Scale::Quick => "\n**A quick run, a tenth of the work: not to be quoted.**\n",
        _ => "",
    };
    let mut page = format!(
        "# Benchmarks

Written by `cargo run --release -p kumihimo-bench -- --write`; do not edit.
{quick}
{}; {} workers; {}; {} rounds.
{}.

![The better peer's time over kumihimo's, per row](benchmarks.svg)

",
        machine::describe(),
        args.workers,
        machine::today(),
        args.rounds,
        versions(),
    );
    page +=
        "## Time per operation\n\nNanoseconds, wall / CPU (user and system, of the whole process), medians. ";
    page += "The ratio is the better peer's figure over kumihimo's: above 1 kumihimo needs less.\n\n";
    page +=
        &table(outcomes, TIMES, &[Contender::Kumihimo, Contender::Tokio, Contender::Smol, Contender::Epoll]);
    if let Some(mean) = scheduling_mean(outcomes) {
        let _ = write!(page, "\n{mean}.\n");
    }
    page += &distance(outcomes);
    page += "\n## Latency and lateness\n\np50 / p99 / p99.9, medians over the rounds. For `timers_fire`: how long after its deadline a ";
    page += "task runs again.\n\n";
    page += &table(outcomes, LATENCIES, &[Contender::Kumihimo, Contender::Tokio, Contender::Smol]);
    page += "\n## Memory and idle CPU\n\n";
    page += &table(outcomes, RESOURCES, &[Contender::Kumihimo, Contender::Tokio, Contender::Smol]);
    page += "\n## The work\n\n| row | operation | work |\n|---|---|---|\n";
    for Outcome { row, .. } in outcomes {
        let _ = writeln!(page, "| {} | {} | {} |", row.name, row.operation, row.work);
    }
    page += &method(contest);
    let notes: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.notes).collect();
    if !notes.is_empty() {
        page += "\n## What went wrong\n\n";
        for note in notes {
            let _ = writeln!(page, "- {note}");
        }
    }
    page
}

/// How it is measured.
fn method(contest: &Contest) -> String {
    format!(
        "
## How it is measured

All contenders run in one process, in turn (A B C A B C ...), built with the same profile (thin LTO, one codegen unit) and
the system's allocator, with the same number of workers and otherwise in their default configuration: tokio's multi-threaded
runtime with `enable_all`; smol as async-executor's `Executor` with as many threads, each in async-io's `block_on`. Each row's
body is one generic function, which runs as a spawned task.

For each turn the contender's runtime is started afresh, does a smaller turn untimed, then the timed one, and is shut
down; the next turn begins when its threads have ended. So no peer is there while another runs, but for async-io's one helper
thread, which can't be ended and is parked. {}

`blocking`, `blocking_one`, `memory` and `idle` run in a fresh process for each turn (the threads of smol's pool never end and
wake twice a second; the turns after it would pay for that). kumihimo's calls are `run_in_executor(None, ..)` in `blocking`, as
they are submitted before they are awaited, and `to_thread` in `blocking_one`. In the latency rows the client is a plain
thread that sends its next message after the answer to the last one, so a stall counts once. Bare epoll: as many threads as workers, each with both ends of its
share of the connections, edge-triggered, registered once.
",
        parked(contest)
    )
}

/// One table: the rows that measure what `metrics` lists.
fn table(outcomes: &[Outcome], metrics: &[Metric], contenders: &[Contender]) -> String {
    let names: Vec<_> = contenders.iter().map(|contender| contender.name()).collect();
    let mut text =
        format!("| row | {} | ratio |\n|---|{}---|\n", names.join(" | "), "---:|".repeat(names.len()));
    for outcome in outcomes {
        let metrics = shared(&outcome.row, metrics);
        if metrics.is_empty() {
            continue;
        }
        let _ = write!(text, "| {} |", outcome.row.name);
        for &contender in contenders {
            let _ = write!(text, " {} |", cell(outcome, contender, &metrics));
        }
        let _ = writeln!(text, " {} |", ratios(outcome, &metrics));
    }
    text
}

/// How far the echo rows are from bare epoll.
fn distance(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let over = |metric| {
            Some(outcome.value(Contender::Kumihimo, metric)? / outcome.value(Contender::Epoll, metric)?)
        };
        if let (Some(wall), Some(cpu)) = (over(Metric::Wall), over(Metric::Cpu)) {
            let _ = writeln!(text, "- {}: {wall:.2} / {cpu:.2}", outcome.row.name);
        }
    }
    if text.is_empty() { text } else { format!("\nkumihimo's time over bare epoll's, the limit:\n\n{text}") }
}

/// The geometric mean of the ratios of the scheduling rows.
fn scheduling_mean(outcomes: &[Outcome]) -> Option<String> {
    let rows: Vec<_> = outcomes.iter().filter(|outcome| outcome.row.scheduling).collect();
    let mean = |metric| {
        let logs: Option<Vec<f64>> = rows.iter().map(|outcome| outcome.ratio(metric).map(f64::ln)).collect();
        logs.filter(|logs| !logs.is_empty()).map(|logs| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    let (wall, cpu) = (mean(Metric::Wall)?, mean(Metric::Cpu)?);
    Some(format!("Geometric mean over the {} scheduling rows: {wall:.2} / {cpu:.2}", rows.len()))
}

/// The metrics of `row` that belong to a table.
fn shared(row: &Entry, table: &[Metric]) -> Vec<Metric> {
    table.iter().copied().filter(|metric| row.metrics.contains(metric)).collect()
}

/// A contender's figures.
fn cell(outcome: &Outcome, contender: Contender, metrics: &[Metric]) -> String {
    let figures: Option<Vec<_>> = metrics
        .iter()
        .map(|&metric| outcome.value(contender, metric).map(|value| figure(metric, value)))
        .collect();
    figures.unwrap_or_default().join(" / ")
}

/// The ratios, or nothing where kumihimo or the peers took no part.
fn ratios(outcome: &Outcome, metrics: &[Metric]) -> String {
    // Of two figures that are both next to nothing a ratio says nothing.
    if metrics == [Metric::IdleCpu] {
        return String::new();
    }
    let ratios: Option<Vec<_>> =
        metrics.iter().map(|&metric| outcome.ratio(metric).map(|ratio| format!("{ratio:.2}"))).collect();
    ratios.unwrap_or_default().join(" / ")
}

/// A value in the unit of its table.
fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Wall | Metric::Cpu if value < 100.0 => format!("{value:.1}"),
        Metric::Wall | Metric::Cpu => format!("{value:.0}"),
        Metric::P50 | Metric::P99 | Metric::P999 if value < 1e6 => format!("{:.0} µs", value / 1e3),
        Metric::P50 | Metric::P99 | Metric::P999 => format!("{:.1} ms", value / 1e6),
        Metric::Bytes => format!("{value:.0} bytes/task"),
        Metric::IdleCpu => format!("{:.2} ms CPU", value / 1e6),
    }
}

/// What the standing threads cost.
fn parked(contest: &Contest) -> String {
    format!("In a second in which nothing ran the process used {} µs of CPU.", contest.parked.as_micros())
}

/// The peers, by the lock file.
fn versions() -> String {
    let versions: Vec<_> =
        PACKAGES.iter().map(|package| format!("{package} {}", machine::version(package))).collect();
    versions.join(", ")
}
