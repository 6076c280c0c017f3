//! A worker process that dies breaks the pool: waiting and later calls give `BrokenProcessPool`; a new pool works.

use std::{process, thread};

use kumihimo as asyncio;
use kumihimo::{BrokenProcessPool, ProcessError, ProcessPoolExecutor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::trace::{Show, seconds};

impl Show for BrokenProcessPool {
    fn show(&self) -> String {
        "BrokenProcessPool".into()
    }
}

fn dies(_: ()) {
    process::exit(3);
}

fn slow(_: ()) {
    thread::sleep(seconds(5.0));
}

fn square(n: u64) -> u64 {
    n * n
}

async fn attempt<A, R>(label: &str, pool: ProcessPoolExecutor, job: fn(A) -> R, argument: A) -> [String; 2]
where
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + Show + Send + 'static,
{
    match asyncio::get_running_loop().run_in_process(&pool, job, argument).await {
        Ok(value) => [label.show(), value.show()],
        Err(ProcessError::Broken(error)) => [label.show(), error.show()],
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn main() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    log!(attempt("before", pool.clone(), square, 3).await);
    let waiting = asyncio::create_task(attempt("waiting", pool.clone(), slow, ()));
    asyncio::sleep(seconds(0.05)).await;
    let dying = asyncio::create_task(attempt("dying", pool.clone(), dies, ()));
    log!(waiting.await);
    log!(dying.await);
    log!(attempt("later", pool.clone(), square, 3).await);
    pool.shutdown(true, false).await;
    let pool = ProcessPoolExecutor::new(1).unwrap();
    log!(attempt("new pool", pool.clone(), square, 4).await);
    pool.shutdown(true, false).await;
}
