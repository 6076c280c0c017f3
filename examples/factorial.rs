//! Four factorials at once, one of which fails; `gather` waits for all, and errors are values. Run it with
//! `cargo run --example factorial`.

use std::time::Duration;

use kumihimo as asyncio;

/// The argument is no number.
#[derive(Debug)]
struct TypeError;

async fn factorial(task: &str, number: &str) -> Result<u64, TypeError> {
    let number: u64 = number.parse().map_err(|_| TypeError)?;
    let mut f = 1;
    for i in 2..=number {
        println!("Task {task}: Compute factorial({number}), currently i={i}...");
        asyncio::sleep(Duration::from_secs(1)).await;
        f *= i;
    }
    println!("Task {task}: factorial({number}) = {f}");
    Ok(f)
}

#[asyncio::main]
async fn main() {
    let values = asyncio::gather([
        factorial("A", "2"),
        factorial("E", "rashid"),
        factorial("B", "3"),
        factorial("C", "4"),
    ])
    .await;

    let values = values.map(|value| match value {
        Ok(f) => f.to_string(),
        Err(error) => format!("{error:?}"),
    });
    println!("[{}]", values.join(", "));
}
