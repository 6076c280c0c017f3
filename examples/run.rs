//! How a program starts: `run`. Run it with `cargo run --example run`.

use kumihimo as asyncio;

async fn foo() {
    println!("Foo!");
}

async fn hello_world() {
    foo().await;
    println!("Hello World!");
}

fn main() {
    asyncio::run(hello_world());
}
