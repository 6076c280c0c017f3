//! A line per second until five seconds are reached. Run it with `cargo run --example display_date`.

use std::time::Duration;

use kumihimo as asyncio;

const SECOND: Duration = Duration::from_secs(1);

#[asyncio::main]
async fn main() {
    let event_loop = asyncio::get_running_loop();
    let start = event_loop.time();
    let end = start + 5 * SECOND;
    loop {
        println!("second {:.0}", (event_loop.time() - start).as_secs_f64());
        if event_loop.time() + SECOND >= end {
            break;
        }
        asyncio::sleep(SECOND).await;
    }
}
