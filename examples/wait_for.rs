//! `wait_for`: an eternity is given up after one second. Run it with `cargo run --example wait_for`.

use std::time::Duration;

use kumihimo as asyncio;

async fn eternity() {
    asyncio::sleep(Duration::from_secs(3600)).await;
    println!("Can you sleep longer than this?");
}

#[asyncio::main]
async fn main() {
    if asyncio::wait_for(eternity(), Duration::from_secs(1)).await.is_err() {
        println!("timeout!");
    }
}
