//! The process pools: the same work on each, in its own manner of speaking.

pub(crate) mod cpython;
#[cfg(feature = "kumihimo")]
pub(crate) mod kumihimo;
pub(crate) mod procspawn;

use std::thread;
use std::time::Duration;

use crate::measure::Plan;

/// One MiB.
pub(crate) const MIB: usize = 1 << 20;

/// How long the calls take that are made first, one for each process: until each is started and has taken one.
const NAP: Duration = Duration::from_millis(100);

/// What a pool is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// `rounds` times: `calls` no-op calls submitted at once, all awaited.
    Calls { rounds: usize, calls: usize },
    /// A no-op for each of so many items, `chunk` of them in a call.
    Map { items: usize, chunk: usize },
    /// No-op calls, each awaited before the next.
    One { calls: usize },
    /// Calls with 1 MiB for an argument, two for each process at a time; what comes back is its length.
    Bytes { calls: usize },
    /// The same, but the argument comes back, and is the client's next one.
    BytesBoth { calls: usize },
    /// A pool is made, and makes its first call in a process that is started with `exec`.
    Spawn,
    /// The same by a fork server, which is started too.
    ForkServer,
}

impl Work {
    /// A plan's share.
    pub(crate) fn under(self, plan: Plan) -> Work {
        match self {
            Work::Calls { rounds, calls } => Work::Calls { rounds: plan.of(rounds), calls },
            Work::Map { items, chunk } => Work::Map { items: plan.of(items / chunk) * chunk, chunk },
            Work::One { calls } => Work::One { calls: plan.of(calls) },
            Work::Bytes { calls } => Work::Bytes { calls: whole(plan.of(calls), plan) },
            Work::BytesBoth { calls } => Work::BytesBoth { calls: whole(plan.of(calls), plan) },
            Work::Spawn | Work::ForkServer => self,
        }
    }

    /// How many operations it is.
    pub(crate) fn operations(self) -> usize {
        match self {
            Work::Calls { rounds, calls } => rounds * calls,
            Work::Map { items, .. } => items,
            Work::One { calls } | Work::Bytes { calls } | Work::BytesBoth { calls } => calls,
            Work::Spawn | Work::ForkServer => 1,
        }
    }
}

/// How many calls with large arguments there are at a time: one runs in each process, and one is on its way.
pub(crate) fn clients(plan: Plan) -> usize {
    2 * plan.workers
}

/// The next number that can be shared out among the clients evenly.
fn whole(calls: usize, plan: Plan) -> usize {
    calls.next_multiple_of(clients(plan))
}

/// A large argument.
pub(crate) fn argument() -> Vec<u8> {
    vec![7; MIB]
}

/// Nothing: the no-op.
pub(crate) fn same(n: u64) -> u64 {
    n
}

/// No-ops for the items of a chunk, where the pool has no `map` of its own.
pub(crate) fn all_the_same(chunk: Vec<u64>) -> Vec<u64> {
    chunk.into_iter().map(same).collect()
}

/// What becomes of 1 MiB where it does not come back.
pub(crate) fn length(bytes: Vec<u8>) -> u64 {
    bytes.len() as u64
}

/// What becomes of it where it does.
pub(crate) fn back(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Keeps a process busy while the others start.
pub(crate) fn nap(_: ()) {
    thread::sleep(NAP);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Scale;

    #[test]
    fn a_share_of_the_work_is_whole() {
        let plan = |scale| Plan { workers: 3, scale };
        assert_eq!(Work::Map { items: 1000, chunk: 100 }.under(plan(Scale::Quick)).operations(), 100);
        assert_eq!(Work::Bytes { calls: 100 }.under(plan(Scale::Full)).operations(), 102);
        assert_eq!(Work::Bytes { calls: 100 }.under(plan(Scale::WarmUp)).operations(), 6);
        assert_eq!(Work::Spawn.under(plan(Scale::Quick)).operations(), 1);
    }
}
