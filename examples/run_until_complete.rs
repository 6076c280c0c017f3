//! A loop run by hand. Run it with `cargo run --example run_until_complete`.

use kumihimo as asyncio;

async fn foo() {
    println!("Foo!");
}

async fn hello_world() {
    foo().await;
    println!("Hello World!");
}

fn main() {
    let event_loop = asyncio::new_event_loop();
    event_loop.run_until_complete(hello_world());
    event_loop.close();
    println!("closed {}", event_loop.is_closed());
}
