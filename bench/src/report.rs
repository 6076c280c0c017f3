//! What the contest prints, and the page it writes.

use std::fmt::Write;

use crate::args::Args;
use crate::contest::{Contest, Outcome};
use crate::machine;
use crate::measure::{Metric, Scale};
use crate::pools::cpython;
use crate::rows::{Entry, Group};
use crate::runtimes::Contender;

/// The tables, by what their rows measure.
const TIMES: &[Metric] = &[Metric::Wall, Metric::Cpu];
/// See `TIMES`.
const LATENCIES: &[Metric] = &[Metric::P50, Metric::P99, Metric::P999];
/// See `TIMES`.
const RESOURCES: &[Metric] = &[Metric::Bytes, Metric::IdleCpu];

/// The peers' packages that a reader may want to know the version of.
const PACKAGES: &[&str] = &[
    "tokio",
    "smol",
    "async-executor",
    "async-io",
    "async-lock",
    "async-channel",
    "blocking",
    "polling",
    "procspawn",
];

/// The first lines on the terminal.
pub(crate) fn heading(args: &Args) -> String {
    let workers = args.workers;
    format!(
        "{}; {workers} workers; {}; {} rounds, medians{}\n{}",
        machine::describe(),
        machine::today(),
        args.rounds,
        if args.scale == Scale::Quick { "; QUICK: not to be quoted" } else { "" },
        versions(),
    )
}

/// The line before the rows of a group on the terminal.
pub(crate) fn columns(group: Group, args: &Args) -> String {
    let columns: Vec<_> = args.contenders_of(group).map(Contender::name).collect();
    let whose = match group {
        Group::Runtimes => "",
        Group::ProcessPools => " (of all processes)",
    };
    format!("ns per operation, wall / CPU{whose}; {}; ratio: better peer / kumihimo", columns.join(", "))
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
        for contender in args.contenders_of(outcome.row.group) {
            let _ = write!(line, " | {:>24}", cell(outcome, contender, &metrics));
        }
        let _ = write!(line, " | {}", ratios(outcome, &metrics));
    }
    if let Some(rates) = rates(outcome) {
        let _ = write!(line, "\n  = {rates}");
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
    page += &table(outcomes, Group::Runtimes, TIMES);
    if let Some(mean) = scheduling_mean(outcomes) {
        let _ = write!(page, "\n{mean}.\n");
    }
    page += &distance(outcomes);
    page += "\n## Latency and lateness\n\np50 / p99 / p99.9, medians over the rounds. For `timers_fire`: how long after its deadline a ";
    page += "task runs again.\n\n";
    page += &table(outcomes, Group::Runtimes, LATENCIES);
    page += "\n## Memory and idle CPU\n\n";
    page += &table(outcomes, Group::Runtimes, RESOURCES);
    page += &process_pools(outcomes);
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

/// The section about process pools; nothing if they were not measured.
fn process_pools(outcomes: &[Outcome]) -> String {
    let of_pools: Vec<_> =
        outcomes.iter().filter(|outcome| outcome.row.group == Group::ProcessPools).collect();
    if of_pools.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "
## Process pools

`ProcessPoolExecutor`, CPython's `concurrent.futures.ProcessPoolExecutor` and procspawn's `Pool`, each with 2 processes.
Nanoseconds per operation, wall / CPU, medians. CPU time is that of the program and of all the processes that it has
started, as the scheduler counts it (`/proc/PID/task/*/schedstat`), so also in CPython's rows.

",
    );
    text += &table(outcomes, Group::ProcessPools, TIMES);
    text += "\nThe same as rates, more is better (1 MB = 1 000 000 bytes):\n\n";
    for (outcome, rates) in of_pools.iter().filter_map(|outcome| Some((outcome, rates(outcome)?))) {
        let _ = writeln!(text, "- {}: {rates}", outcome.row.name);
    }
    text += "\nThe latency of one call, from `submit` to its result, p50 / p99 / p99.9:\n\n";
    text += &table(outcomes, Group::ProcessPools, LATENCIES);
    text
}

/// What the contenders of a row get done in a second.
fn rates(outcome: &Outcome) -> Option<String> {
    let rate = outcome.row.rate?;
    let figures = outcome.row.group.contenders().iter().filter_map(|&contender| {
        let per_second = rate.per_operation * 1e9 / outcome.value(contender, Metric::Wall)?;
        per_second.is_finite().then(|| format!("{} {per_second:.0}", contender.name()))
    });
    let figures: Vec<_> = figures.collect();
    (!figures.is_empty()).then(|| format!("{} {}", figures.join(", "), rate.unit))
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

Locks, semaphores and queues are each runtime's own: `tokio::sync`'s `Mutex`, `Semaphore` and `mpsc`, smol's `lock` and
`channel`. kumihimo's and tokio's serve those who wait in the order in which they came. smol's let a task that comes just
when something is released take it before those who wait (its lock until one of them has waited for half a millisecond),
which saves switches between tasks. A task of tokio's that never has to wait gives way after 128 operations, which is part
of the rows with one task.

The process pools run in a fresh process for each turn, too. Their processes are started and warm when the timed part begins,
but for `process_pool_spawn` and `process_pool_forkserver`, in which a pool starts one process (procspawn's all). CPython's
programs are `bench/python/process_pool.py`, which takes the wall time; for calls the faster of the pool's own futures and of
asyncio's `run_in_executor` with `gather` counts, in each turn. kumihimo's calls are awaited by tasks of its runtime with 2
workers; procspawn's are joined by a thread, in the rows with 1 MiB by 4 threads. In `process_pool_1MiB` kumihimo's and
procspawn's clients make an argument for each call (a `Vec` is given away with it), CPython's send the same object again.
",
        parked(contest)
    )
}

/// One table: the rows of a group that measure what `metrics` lists.
fn table(outcomes: &[Outcome], group: Group, metrics: &[Metric]) -> String {
    // Bare epoll has been timed only.
    let is_shown = |contender: &&Contender| metrics == TIMES || **contender != Contender::Epoll;
    let contenders: Vec<_> = group.contenders().iter().filter(is_shown).copied().collect();
    let names: Vec<_> = contenders.iter().map(|contender| contender.name()).collect();
    let mut text =
        format!("| row | {} | ratio |\n|---|{}---|\n", names.join(" | "), "---:|".repeat(names.len()));
    for outcome in outcomes.iter().filter(|outcome| outcome.row.group == group) {
        let metrics = shared(&outcome.row, metrics);
        if metrics.is_empty() {
            continue;
        }
        let _ = write!(text, "| {} |", outcome.row.name);
        for &contender in &contenders {
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
    versions.join(", ") + &cpython::version().map(|version| format!(", {version}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    #[test]
    fn process_pools_have_tables_of_their_own() {
        let row = |name| rows::find(name).expect("there is one");
        let pools = vec![
            (Contender::Kumihimo, vec![100.0, 200.0]),
            (Contender::CPython, vec![1000.0, 1500.0]),
            (Contender::Procspawn, vec![500.0, 400.0]),
        ];
        let runtimes =
            vec![(Contender::Kumihimo, vec![100.0, 200.0]), (Contender::Tokio, vec![300.0, 400.0])];
        let outcomes = [Outcome::of(row("spawn_join"), runtimes), Outcome::of(row("process_pool"), pools)];
        let text = process_pools(&outcomes);
        assert!(text.contains("| row | kumihimo | cpython | procspawn | ratio |"), "{text}");
        assert!(
            text.contains("| process_pool | 100 / 200 | 1000 / 1500 | 500 / 400 | 5.00 / 2.00 |"),
            "{text}"
        );
        assert!(text.contains("kumihimo 10000000, cpython 1000000, procspawn 2000000 calls/s"), "{text}");
        let others = table(&outcomes, Group::Runtimes, TIMES);
        assert!(others.contains("spawn_join") && !others.contains("process_pool"), "{others}");
        assert!(process_pools(&outcomes[..1]).is_empty());
    }
}
