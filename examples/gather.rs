//! Two coroutines at the same time, through `gather`. Run it with `cargo run --example gather`.

use std::time::Duration;

use kumihimo as asyncio;

async fn my_async_function1() -> &'static str {
    println!("Hello from my async function 1");
    asyncio::sleep(Duration::from_secs(3)).await;
    println!("Done with async function 1");
    "my_async_function1 result"
}

async fn my_async_function2() -> &'static str {
    println!("Hello from my async function 2");
    asyncio::sleep(Duration::from_secs(2)).await;
    println!("Done with async function 2");
    "my_async_function2 result"
}

#[asyncio::main]
async fn main() {
    println!("Starting main function");
    let (result1, result2) = asyncio::gather!(my_async_function1(), my_async_function2()).await;
    println!("Done with main function");
    println!("[{result1}, {result2}]");
}
