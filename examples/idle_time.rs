//! Two tasks run in each other's idle times. Run it with `cargo run --example idle_time`.

use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::Task;

async fn foo() -> &'static str {
    println!("This goes second!");
    asyncio::sleep(Duration::from_secs(2)).await;
    "This goes fourth!"
}

#[asyncio::main]
async fn main() {
    let my_task: Task<&str> = asyncio::create_task(foo());
    println!("This goes first!");
    asyncio::sleep(Duration::from_secs(2)).await;
    println!("This goes third!");
    println!("{}", my_task.await);
}
