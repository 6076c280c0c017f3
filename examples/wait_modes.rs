//! `wait` in its three modes, on sleeps of 0, 1 and 2 s. Run it with `cargo run --example wait_modes`.

use std::convert::Infallible;
use std::time::Duration;

use kumihimo as asyncio;

/// `first_exception` is for tasks that return `Result`.
async fn sleep(seconds: u64) -> Result<String, Infallible> {
    let delay = Duration::from_secs(seconds);
    Ok(asyncio::sleep_with(delay, format!("slept {seconds}")).await)
}

#[asyncio::main]
async fn main() {
    for mode in ["FIRST_COMPLETED", "ALL_COMPLETED", "FIRST_EXCEPTION"] {
        let tasks = [0, 1, 2].map(|i| asyncio::create_task(sleep(i)));
        let wait = asyncio::wait(tasks);
        let asyncio::Done { done, pending } = match mode {
            "FIRST_COMPLETED" => wait.return_when(asyncio::FirstCompleted).await,
            "ALL_COMPLETED" => wait.return_when(asyncio::AllCompleted).await,
            _ => wait.first_exception().await,
        };
        let Ok(done) = asyncio::try_gather(done).await;
        println!("{mode} done [{}] pending {}", done.join(", "), pending.len());
        if !pending.is_empty() {
            asyncio::wait(pending).await;
        }
    }
}
