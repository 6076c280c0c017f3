//! The process pools.
//!
//! Each turn in a fresh process, so that every descendant of that process belongs to the pool that is measured.

use super::{Entry, Group, Measured, Rate};
use crate::measure::{Metric, Plan};
#[cfg(feature = "kumihimo")]
use crate::pools::kumihimo;
use crate::pools::{MIB, Work, cpython, procspawn};
use crate::runtimes::Contender;

/// Processes of each pool.
const PROCESSES: usize = 2;
/// Latencies and times.
const ONE: &[Metric] = &[Metric::Wall, Metric::Cpu, Metric::P50, Metric::P99, Metric::P999];
/// The others.
const TIMES: &[Metric] = &[Metric::Wall, Metric::Cpu];
/// Bytes that a large call moves each way, as megabytes.
const MEGABYTES: f64 = MIB as f64 / 1e6;

/// One kind of work, as a row.
trait PoolRow: 'static {
    const NAME: &'static str;
    const OPERATION: &'static str = "call";
    const TEXT: &'static str;
    const WORK: Work;
    const METRICS: &'static [Metric] = TIMES;
    const RATE: Option<Rate> = Some(Rate { unit: "calls/s", per_operation: 1.0 });
}

/// process_pool
struct Calls;

impl PoolRow for Calls {
    const NAME: &'static str = "process_pool";
    const TEXT: &'static str = "10 rounds of 1000 no-op calls in 2 processes, submitted at once, all awaited";
    const WORK: Work = Work::Calls { rounds: 10, calls: 1_000 };
}

/// process_pool_map
struct Map;

impl PoolRow for Map {
    const NAME: &'static str = "process_pool_map";
    const OPERATION: &'static str = "item";
    const TEXT: &'static str =
        "a no-op mapped over 100 000 numbers, 100 in a chunk (procspawn: a call for each chunk)";
    const WORK: Work = Work::Map { items: 100_000, chunk: 100 };
    const RATE: Option<Rate> = Some(Rate { unit: "items/s", per_operation: 1.0 });
}

/// process_pool_one
struct One;

impl PoolRow for One {
    const NAME: &'static str = "process_pool_one";
    const TEXT: &'static str = "5000 times: one no-op call, awaited; also the distribution of latency";
    const WORK: Work = Work::One { calls: 5_000 };
    const METRICS: &'static [Metric] = ONE;
}

/// process_pool_1MiB
struct Bytes;

impl PoolRow for Bytes {
    const NAME: &'static str = "process_pool_1MiB";
    const TEXT: &'static str =
        "512 calls with 1 MiB (`Vec<u8>`, `bytes`), 4 at a time; the result is its length";
    const WORK: Work = Work::Bytes { calls: 512 };
    const RATE: Option<Rate> = Some(Rate { unit: "MB/s", per_operation: MEGABYTES });
}

/// process_pool_1MiB_both
struct BytesBoth;

impl PoolRow for BytesBoth {
    const NAME: &'static str = "process_pool_1MiB_both";
    const TEXT: &'static str = "the same, and the argument is the result: 2 MiB moved";
    const WORK: Work = Work::BytesBoth { calls: 512 };
    const RATE: Option<Rate> = Some(Rate { unit: "MB/s", per_operation: 2.0 * MEGABYTES });
}

/// process_pool_spawn
struct Spawn;

impl PoolRow for Spawn {
    const NAME: &'static str = "process_pool_spawn";
    const OPERATION: &'static str = "start";
    const TEXT: &'static str = "from making a pool to its first result; start method spawn";
    const WORK: Work = Work::Spawn;
    const RATE: Option<Rate> = None;
}

/// process_pool_forkserver
struct ForkServer;

impl PoolRow for ForkServer {
    const NAME: &'static str = "process_pool_forkserver";
    const OPERATION: &'static str = "start";
    const TEXT: &'static str = "the same with start method forkserver, whose server is started too";
    const WORK: Work = Work::ForkServer;
    const RATE: Option<Rate> = None;
}

/// The rows, in the order of the table.
pub(super) fn all() -> Vec<Entry> {
    vec![
        entry::<Calls>(),
        entry::<Map>(),
        entry::<One>(),
        entry::<Bytes>(),
        entry::<BytesBoth>(),
        entry::<Spawn>(),
        entry::<ForkServer>(),
    ]
}

/// Erases the type of `P`.
fn entry<P: PoolRow>() -> Entry {
    Entry {
        name: P::NAME,
        operation: P::OPERATION,
        work: P::TEXT,
        group: Group::ProcessPools,
        metrics: P::METRICS,
        rate: P::RATE,
        scheduling: false,
        fresh_process: true,
        workers: Some(PROCESSES),
        most_rounds: usize::MAX,
        turn: turn::<P>,
    }
}

/// One turn of `contender`, with a pool that is made for it.
fn turn<P: PoolRow>(contender: Contender, plan: Plan) -> Option<Measured> {
    match contender {
        #[cfg(feature = "kumihimo")]
        Contender::Kumihimo => Some(kumihimo::turn(P::WORK, plan)),
        Contender::CPython => Some(cpython::turn(P::WORK, plan)),
        Contender::Procspawn => procspawn::turn(P::WORK, plan),
        _ => None,
    }
}
