//! The smallest program: a coroutine, and a loop to run it. Run it with `cargo run --example empty_main`.

use kumihimo as asyncio;

async fn nothing() {}

fn main() {
    println!("run gives {:?}", asyncio::run(nothing()));
}
