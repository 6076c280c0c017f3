//! Two sleeps one after the other, and as two tasks. Run it with `cargo run --example concurrent_sleeps`.

use std::time::Duration;

use kumihimo as asyncio;

const SECOND: Duration = Duration::from_secs(1);

#[asyncio::main]
async fn main() {
    let event_loop = asyncio::get_running_loop();

    let start = event_loop.time();
    asyncio::sleep(SECOND).await;
    asyncio::sleep(SECOND).await;
    println!("one after the other: {:.0} s", (event_loop.time() - start).as_secs_f64());

    let start = event_loop.time();
    let task1 = asyncio::create_task(asyncio::sleep(SECOND));
    let task2 = asyncio::create_task(asyncio::sleep(SECOND));
    task1.await;
    task2.await;
    println!("as tasks: {:.0} s", (event_loop.time() - start).as_secs_f64());
}
