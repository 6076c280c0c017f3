//! Two tasks that sleep at the same time. Run it with `cargo run --example say_after`.

use std::time::Duration;

use kumihimo as asyncio;

async fn say_after(delay: Duration, what: &str) {
    asyncio::sleep(delay).await;
    println!("{what}");
}

#[asyncio::main]
async fn main() {
    let event_loop = asyncio::get_running_loop();
    let task1 = asyncio::create_task(say_after(Duration::from_secs(1), "hello"));
    let task2 = asyncio::create_task(say_after(Duration::from_secs(2), "world"));

    let start = event_loop.time();
    println!("started");
    task1.await;
    task2.await;
    println!("finished after {:.0} s", (event_loop.time() - start).as_secs_f64());
}
