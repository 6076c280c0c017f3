//! Hello, a second, world. Run it with `cargo run --example hello_world`.

use std::time::Duration;

use kumihimo as asyncio;

async fn hello() {
    println!("hello");
    asyncio::sleep(Duration::from_secs(1)).await;
    println!("world");
}

fn main() {
    let coroutine = hello();
    println!("called, nothing printed yet");
    asyncio::run(coroutine);
}
