//! procspawn's `Pool`: its calls block, so whoever makes several at a time needs threads.

use std::thread;
use std::time::Instant;

use ::procspawn::{Pool, SpawnError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Work, all_the_same, argument, back, clients, length, nap, same};
use crate::machine::allow_descriptors;
use crate::measure::{Plan, Stopwatch, percentiles};
use crate::rows::Measured;

/// Descriptors that a call holds until it begins.
const CALL: u64 = 4;

/// One turn; `None` for the work that it has nothing for.
pub(crate) fn turn(work: Work, plan: Plan) -> Option<Measured> {
    match work {
        Work::ForkServer => None,
        Work::Spawn => Some(first(plan)),
        _ => Some(warm(work, plan)),
    }
}

/// From a pool's making, which starts all processes, to its first result.
fn first(plan: Plan) -> Measured {
    let watch = Stopwatch::of_family();
    let pool = Pool::new(plan.workers)?;
    pool.spawn(1, same).join()?;
    let sample = watch.per(1);
    pool.kill();
    Ok(sample)
}

/// The work in a pool whose processes run.
fn warm(work: Work, plan: Plan) -> Measured {
    let pool = Pool::new(plan.workers)?;
    let naps: Vec<_> = (0..plan.workers).map(|_| pool.spawn((), nap)).collect();
    naps.into_iter().try_for_each(|nap| nap.join())?;
    perform(&pool, work.under(plan.warm_up()), plan)?;
    let sample = perform(&pool, work.under(plan), plan);
    pool.kill();
    sample
}

/// Does the work, and measures it.
fn perform(pool: &Pool, work: Work, plan: Plan) -> Measured {
    match work {
        Work::Calls { rounds, calls } => many(pool, rounds, calls),
        Work::Map { items, chunk } => map(pool, items, chunk),
        Work::One { calls } => one_by_one(pool, calls),
        Work::Bytes { calls } => large(pool, calls, plan, length, |_| argument()),
        Work::BytesBoth { calls } => large(pool, calls, plan, back, |result| result),
        Work::Spawn | Work::ForkServer => unreachable!("these have no pool that runs"),
    }
}

/// See [`Work::Calls`].
fn many(pool: &Pool, rounds: usize, calls: usize) -> Measured {
    allow_descriptors(CALL * calls as u64 + 100)?;
    let watch = Stopwatch::of_family();
    for _ in 0..rounds {
        let jobs: Vec<_> = (0..calls as u64).map(|n| pool.spawn(n, same)).collect();
        for job in jobs {
            job.join()?;
        }
    }
    Ok(watch.per(rounds * calls))
}

/// Its `map` is what its user makes of `spawn`: see [`Work::Map`].
fn map(pool: &Pool, items: usize, chunk: usize) -> Measured {
    allow_descriptors(CALL * (items / chunk) as u64 + 100)?;
    let watch = Stopwatch::of_family();
    let starts = (0..items as u64).step_by(chunk);
    let jobs: Vec<_> =
        starts.map(|start| pool.spawn((start..start + chunk as u64).collect(), all_the_same)).collect();
    let mut results = Vec::with_capacity(items);
    for job in jobs {
        results.extend(job.join()?);
    }
    Ok(watch.per(items))
}

/// See [`Work::One`].
fn one_by_one(pool: &Pool, calls: usize) -> Measured {
    let mut latencies = Vec::with_capacity(calls);
    let watch = Stopwatch::of_family();
    for n in 0..calls as u64 {
        let start = Instant::now();
        pool.spawn(n, same).join()?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    let mut sample = watch.per(calls);
    sample.extend(percentiles(latencies));
    Ok(sample)
}

/// See [`Work::Bytes`] and [`Work::BytesBoth`]; `next` makes an argument of the result before.
fn large<R>(pool: &Pool, calls: usize, plan: Plan, f: fn(Vec<u8>) -> R, next: fn(R) -> Vec<u8>) -> Measured
where
    R: Serialize + DeserializeOwned + Send + 'static,
{
    let clients = clients(plan);
    let watch = Stopwatch::of_family();
    thread::scope(|scope| {
        let client = |_| {
            scope.spawn(move || {
                let mut bytes = argument();
                for _ in 0..calls / clients {
                    bytes = next(pool.spawn(bytes, f).join()?);
                }
                Ok::<_, SpawnError>(())
            })
        };
        let clients: Vec<_> = (0..clients).map(client).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client panicked"))
    })?;
    Ok(watch.per(calls))
}
