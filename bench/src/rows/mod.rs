//! What is measured. Each file holds one kind of work; its body is written once, for every runtime.

mod blocking;
mod chained_spawn;
mod connect_churn;
mod cpu_uneven;
pub(crate) mod echo;
mod fib_tree;
mod idle;
mod io_latency;
mod lock;
mod memory;
mod ping_pong;
mod process_pool;
mod queue;
mod semaphore;
mod spawn_await_one;
mod spawn_join;
mod spawn_many;
mod timers_cancel;
mod timers_fire;
mod yield_many;

use std::error::Error;
use std::future::Future;

use crate::measure::{Metric, Plan, Sample};
#[cfg(feature = "kumihimo")]
use crate::runtimes::kumihimo::Kumihimo;
use crate::runtimes::smol::Smol;
use crate::runtimes::tokio::Tokio;
use crate::runtimes::{Contender, Runtime};

/// What a body returns.
pub(crate) type Measured = Result<Sample, Box<dyn Error + Send + Sync>>;

/// One row of the table.
pub(crate) trait Row: 'static {
    /// Its name, as on the command line.
    const NAME: &'static str;
    /// What one operation is.
    const OPERATION: &'static str;
    /// The work, in one line for the page.
    const WORK: &'static str;
    /// What a sample consists of, in order.
    const METRICS: &'static [Metric] = &[Metric::Wall, Metric::Cpu];
    /// Whether it counts for the geometric mean of the scheduling rows.
    const SCHEDULING: bool = false;
    /// Whether each turn needs a process of its own.
    const FRESH_PROCESS: bool = false;
    /// Whether an untimed, smaller turn precedes the timed one in the same runtime.
    const WARM_UP: bool = true;
    /// The number of workers, where the work itself settles it.
    const WORKERS: Option<usize> = None;
    /// Contenders that have nothing of the kind.
    const WITHOUT: &'static [Contender] = &[];
    /// At most so many rounds: for rows that take seconds, or whose value hardly varies.
    const MOST_ROUNDS: usize = usize::MAX;

    /// Does the work in `rt` and measures its timed part. Runs as a spawned task and leaves nothing behind.
    fn body<R: Runtime>(rt: R, plan: Plan) -> impl Future<Output = Measured> + Send;

    /// The same without any runtime; `None` where there is no such thing.
    fn epoll(_plan: Plan) -> Option<Measured> {
        None
    }
}

/// Which contenders a row is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// The runtimes.
    Runtimes,
    /// The process pools.
    ProcessPools,
}

impl Group {
    /// Whose figures its rows show, in the order of the columns.
    pub(crate) fn contenders(self) -> &'static [Contender] {
        match self {
            Group::Runtimes => &[Contender::Kumihimo, Contender::Tokio, Contender::Smol, Contender::Epoll],
            Group::ProcessPools => &[Contender::Kumihimo, Contender::CPython, Contender::Procspawn],
        }
    }

    /// Those that kumihimo is compared with; epoll is a limit.
    pub(crate) fn peers(self) -> impl Iterator<Item = Contender> {
        let is_peer = |contender: &Contender| !matches!(contender, Contender::Kumihimo | Contender::Epoll);
        self.contenders().iter().copied().filter(is_peer)
    }
}

/// What there is more of per second the better, beside the time of an operation.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// Its name.
    pub(crate) unit: &'static str,
    /// How much of it an operation is.
    pub(crate) per_operation: f64,
}

/// A row with its types erased.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// `Row::NAME`.
    pub(crate) name: &'static str,
    /// `Row::OPERATION`.
    pub(crate) operation: &'static str,
    /// `Row::WORK`.
    pub(crate) work: &'static str,
    /// Who can take part.
    pub(crate) group: Group,
    /// `Row::METRICS`.
    pub(crate) metrics: &'static [Metric],
    /// What else its time is told as.
    pub(crate) rate: Option<Rate>,
    /// `Row::SCHEDULING`.
    pub(crate) scheduling: bool,
    /// `Row::FRESH_PROCESS`.
    pub(crate) fresh_process: bool,
    /// `Row::WORKERS`.
    pub(crate) workers: Option<usize>,
    /// `Row::MOST_ROUNDS`.
    pub(crate) most_rounds: usize,
    /// One turn of one contender in this process; `None` if that contender has no such row.
    pub(crate) turn: fn(Contender, Plan) -> Option<Measured>,
}

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Entry> {
    let mut all = vec![
        entry::<spawn_many::Local>(),
        entry::<spawn_many::RemoteIdle>(),
        entry::<spawn_many::RemoteBusy>(),
        entry::<spawn_join::SpawnJoin>(),
        entry::<spawn_await_one::SpawnAwaitOne>(),
        entry::<yield_many::YieldMany>(),
        entry::<ping_pong::PingPong>(),
        entry::<chained_spawn::ChainedSpawn>(),
        entry::<fib_tree::FibTree>(),
        entry::<cpu_uneven::CpuUneven>(),
        entry::<timers_fire::TimersFire>(),
        entry::<timers_cancel::TimersCancel>(),
        entry::<blocking::Many>(),
        entry::<blocking::One>(),
        entry::<lock::One>(),
        entry::<lock::Contended>(),
        entry::<lock::Short>(),
        entry::<semaphore::One>(),
        entry::<semaphore::Contended>(),
        entry::<queue::One>(),
        entry::<queue::ManyToOne>(),
        entry::<queue::ManyToMany>(),
        entry::<echo::ManySmall>(),
        entry::<echo::OneSmall>(),
        entry::<echo::Large>(),
        entry::<connect_churn::ConnectChurn>(),
        entry::<io_latency::Alone>(),
        entry::<io_latency::Stall>(),
        entry::<io_latency::UnderCpu1>(),
        entry::<io_latency::UnderCpu2>(),
        entry::<memory::Memory>(),
        entry::<idle::Idle>(),
    ];
    all.extend(process_pool::all());
    all
}

/// The row called `name`.
pub(crate) fn find(name: &str) -> Result<Entry, String> {
    all()
        .into_iter()
        .find(|row| row.name == name)
        .ok_or(format!("no row is called {name:?}; --list names them"))
}

/// Erases the types of `W`.
fn entry<W: Row>() -> Entry {
    Entry {
        name: W::NAME,
        operation: W::OPERATION,
        work: W::WORK,
        group: Group::Runtimes,
        metrics: W::METRICS,
        rate: None,
        scheduling: W::SCHEDULING,
        fresh_process: W::FRESH_PROCESS,
        workers: W::WORKERS,
        most_rounds: W::MOST_ROUNDS,
        turn: turn::<W>,
    }
}

/// One turn of `contender`: its runtime is started for it and shut down after it.
fn turn<W: Row>(contender: Contender, plan: Plan) -> Option<Measured> {
    match contender {
        without if W::WITHOUT.contains(&without) => None,
        #[cfg(feature = "kumihimo")]
        Contender::Kumihimo => Some(hosted::<Kumihimo, W>(plan)),
        #[cfg(not(feature = "kumihimo"))]
        Contender::Kumihimo => None,
        Contender::Tokio => Some(hosted::<Tokio, W>(plan)),
        Contender::Smol => Some(hosted::<Smol, W>(plan)),
        Contender::Epoll => bare::<W>(plan),
        Contender::CPython | Contender::Procspawn => None,
    }
}

/// One turn in a fresh `R`.
fn hosted<R: Runtime, W: Row>(plan: Plan) -> Measured {
    R::host(plan.workers, move |rt: R| async move {
        if W::WARM_UP {
            W::body(rt, plan.warm_up()).await?;
        }
        W::body(rt, plan).await
    })?
}

/// One turn without a runtime.
fn bare<W: Row>(plan: Plan) -> Option<Measured> {
    if W::WARM_UP
        && let Err(error) = W::epoll(plan.warm_up())?
    {
        return Some(Err(error));
    }
    W::epoll(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let rows = all();
        for row in &rows {
            assert_eq!(rows.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
            assert!(find(row.name).is_ok());
        }
        assert!(find("nothing").is_err());
    }
}
