//! Coroutines that await coroutines, methods among them. Run it with `cargo run --example nested_await`.

use std::time::Duration;

use kumihimo as asyncio;

async fn foo() {
    println!("foo starts");
    asyncio::sleep(Duration::from_secs(1)).await;
    println!("foo ends");
}

async fn bar() {
    let x = foo().await;
    println!("x is {x:?}");
}

struct MyStruct;

impl MyStruct {
    async fn do_something(&self) -> &'static str {
        foo().await;
        "method done"
    }
}

#[asyncio::main]
async fn main() {
    bar().await;
    println!("{}", MyStruct.do_something().await);
}
