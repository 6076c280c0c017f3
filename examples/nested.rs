//! Calling an async function runs nothing; awaiting what it returns does. Run it with `cargo run --example nested`.

use kumihimo as asyncio;

async fn nested() -> u32 {
    println!("nested runs");
    42
}

#[asyncio::main]
async fn main() {
    let unawaited = nested();
    println!("made, nothing happened");
    drop(unawaited);

    println!("{}", nested().await);
}
