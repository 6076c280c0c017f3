//! A task is made and awaited. Run it with `cargo run --example first_task`.

use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::Task;

async fn foo() {
    println!("This goes first!");
    asyncio::sleep(Duration::from_secs(2)).await;
}

#[asyncio::main]
async fn main() {
    let my_task: Task<()> = asyncio::create_task(foo());
    my_task.await;
    println!("This goes second, after waiting!");
}
