//! kumihimo's `ProcessPoolExecutor`, used by a task of its own runtime.

use std::time::Instant;

use ::kumihimo as asyncio;
use asyncio::process::StartMethod;
use asyncio::{ProcessError, ProcessPoolExecutor};

use super::{Work, argument, back, clients, length, nap, same};
use crate::measure::{Plan, Stopwatch, percentiles};
use crate::rows::Measured;
use crate::runtimes::Runtime;
use crate::runtimes::kumihimo::Kumihimo;

/// One turn, with as many processes as the runtime has threads.
pub(crate) fn turn(work: Work, plan: Plan) -> Measured {
    Kumihimo::host(plan.workers, move |_| async move {
        match work {
            Work::Spawn => first(StartMethod::Spawn, plan).await,
            Work::ForkServer => first(StartMethod::ForkServer, plan).await,
            _ => warm(work, plan).await,
        }
    })?
}

/// From a pool's making to its first result.
async fn first(method: StartMethod, plan: Plan) -> Measured {
    let watch = Stopwatch::of_family();
    let pool = ProcessPoolExecutor::builder().max_workers(plan.workers).start_method(method).build()?;
    pool.submit(same, 1).await?;
    let sample = watch.per(1);
    pool.shutdown(true, false).await;
    Ok(sample)
}

/// The work in a pool whose processes run.
async fn warm(work: Work, plan: Plan) -> Measured {
    let pool = ProcessPoolExecutor::new(plan.workers)?;
    let naps: Vec<_> = (0..plan.workers).map(|_| pool.submit(nap, ())).collect();
    for nap in naps {
        nap.await?;
    }
    perform(&pool, work.under(plan.warm_up()), plan).await?;
    let sample = perform(&pool, work.under(plan), plan).await;
    pool.shutdown(true, false).await;
    sample
}

/// Does the work, and measures it.
async fn perform(pool: &ProcessPoolExecutor, work: Work, plan: Plan) -> Measured {
    match work {
        Work::Calls { rounds, calls } => many(pool, rounds, calls).await,
        Work::Map { items, chunk } => {
            let watch = Stopwatch::of_family();
            pool.map(same, 0..items as u64).chunksize(chunk).await?;
            Ok(watch.per(items))
        }
        Work::One { calls } => one_by_one(pool, calls).await,
        Work::Bytes { calls } => large(pool, calls, plan, length, |_| argument()).await,
        Work::BytesBoth { calls } => large(pool, calls, plan, back, |result| result).await,
        Work::Spawn | Work::ForkServer => unreachable!("these have no pool that runs"),
    }
}

/// See [`Work::Calls`].
async fn many(pool: &ProcessPoolExecutor, rounds: usize, calls: usize) -> Measured {
    let watch = Stopwatch::of_family();
    for _ in 0..rounds {
        let jobs: Vec<_> = (0..calls as u64).map(|n| pool.submit(same, n)).collect();
        for job in jobs {
            job.await?;
        }
    }
    Ok(watch.per(rounds * calls))
}

/// See [`Work::One`].
async fn one_by_one(pool: &ProcessPoolExecutor, calls: usize) -> Measured {
    let mut latencies = Vec::with_capacity(calls);
    let watch = Stopwatch::of_family();
    for n in 0..calls as u64 {
        let start = Instant::now();
        pool.submit(same, n).await?;
        latencies.push(start.elapsed().as_nanos() as u64);
    }
    let mut sample = watch.per(calls);
    sample.extend(percentiles(latencies));
    Ok(sample)
}

/// See [`Work::Bytes`] and [`Work::BytesBoth`]; `next` makes an argument of the result before.
async fn large<R>(
    pool: &ProcessPoolExecutor,
    calls: usize,
    plan: Plan,
    f: fn(Vec<u8>) -> R,
    next: fn(R) -> Vec<u8>,
) -> Measured
where
    R: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    let clients = clients(plan);
    let watch = Stopwatch::of_family();
    let clients = (0..clients).map(|_| {
        let pool = pool.clone();
        asyncio::create_task(async move {
            let mut bytes = argument();
            for _ in 0..calls / clients {
                bytes = next(pool.submit(f, bytes).await?);
            }
            Ok::<_, ProcessError>(())
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.await?;
    }
    Ok(watch.per(calls))
}
