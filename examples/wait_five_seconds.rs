//! Hello world, then five idle seconds. Run it with `cargo run --example wait_five_seconds`.

use std::time::Duration;

use kumihimo as asyncio;

#[asyncio::main]
async fn main() {
    println!("Hello World!");
    asyncio::sleep(Duration::from_secs(5)).await;
    println!("I just waited for 5 seconds!");
}
