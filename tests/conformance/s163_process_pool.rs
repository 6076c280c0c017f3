//! A process pool: arguments and values travel, exceptions come back with type and message, statics do not change here.

use std::process;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use kumihimo as asyncio;
use kumihimo::ProcessPoolExecutor;
use serde::{Deserialize, Serialize};

use crate::trace::Show;

static COUNTER: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Serialize, Deserialize)]
struct AppError(String);

impl Show for AppError {
    fn show(&self) -> String {
        format!("AppError: {}", self.0)
    }
}

fn square(n: u64) -> u64 {
    n * n
}

fn count() -> u64 {
    COUNTER.fetch_add(1, Relaxed) + 1
}

fn fails(text: String) -> Result<(), AppError> {
    Err(AppError(text))
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let squares =
        asyncio::try_gather(Vec::from_iter((0..5).map(|n| event_loop.run_in_process(&pool, square, n))));
    log!(squares.await.unwrap());
    log!("other process", pool.submit0(process::id).await.unwrap() != process::id());
    if let Err(error) = event_loop.run_in_process(&pool, fails, "in the worker".into()).await.unwrap() {
        log!("raised", error);
    }
    log!("pool still works", event_loop.run_in_process(&pool, square, 12).await.unwrap());
    pool.submit0(count).await.unwrap();
    pool.shutdown(true, false).await;
    log!("counter here", COUNTER.load(Relaxed));
}
