//! Blocking and CPU-bound functions in the default thread pool, in one of one's own, and in a process pool. Run it with
//! `cargo run --example executors`.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::{env, process};

use kumihimo as asyncio;

/// Blocks its thread: the loop's workers have something better to do.
fn blocking_io(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(100).read_to_string(&mut text)?;
    Ok(text)
}

/// Needs a processor rather than time. In a process of its own it can't take anything else along.
fn cpu_bound() -> u64 {
    (0..10 * 5).map(|i| i * i).sum()
}

#[asyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let event_loop = asyncio::get_running_loop();
    let path = env::temp_dir().join(format!("someFile-{}", process::id()));
    fs::write(&path, "0123456789".repeat(20))?;

    let copy = path.clone();
    let result = event_loop.run_in_executor(None, move || blocking_io(&copy)).await?;
    println!("default thread pool {}", result.len());

    let pool = asyncio::ThreadPoolExecutor::default();
    let copy = path.clone();
    let result = event_loop.run_in_executor(&pool, move || blocking_io(&copy)).await?;
    println!("custom thread pool {}", &result[..10]);
    pool.shutdown(true, false).await;
    fs::remove_file(path)?;

    let pool = asyncio::ProcessPoolExecutor::builder().build()?;
    let result = pool.submit0(cpu_bound).await?;
    println!("custom process pool {result}");
    pool.shutdown(true, false).await;
    Ok(())
}
