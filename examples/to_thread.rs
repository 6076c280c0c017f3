//! A blocking function in a thread, while the loop goes on. Run it with `cargo run --example to_thread`.

use std::thread;
use std::time::Duration;

use kumihimo as asyncio;

const SECOND: Duration = Duration::from_secs(1);

fn blocking_io() {
    println!("start blocking_io");
    thread::sleep(SECOND);
    println!("blocking_io complete");
}

#[asyncio::main]
async fn main() {
    let event_loop = asyncio::get_running_loop();
    println!("started main");
    let start = event_loop.time();
    asyncio::gather!(asyncio::to_thread(blocking_io), asyncio::sleep(SECOND)).await;
    println!("finished main after {:.0} s", (event_loop.time() - start).as_secs_f64());
}
