//! Three tasks await one request; `as_completed` handles them as they finish. Run it with
//! `cargo run --example shared_request`.

use std::time::Duration;

use kumihimo as asyncio;

async fn database_request() -> &'static str {
    println!("request sent");
    asyncio::sleep(Duration::from_secs(1)).await;
    "Data"
}

async fn process(data: asyncio::SharedTask<&'static str>) {
    println!("{}", data.await);
}

#[asyncio::main]
async fn main() {
    let data = asyncio::create_task(database_request()).shared();
    let mut tasks = asyncio::as_completed([0, 1, 2].map(|_| process(data.clone())));
    while let Some(completed_task) = tasks.next().await {
        completed_task.await;
    }
    println!("all processed");
}
