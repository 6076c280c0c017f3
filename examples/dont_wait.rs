//! Tasks that nobody awaits run while main does other things. Run it with `cargo run --example dont_wait`.

use std::time::Duration;

use kumihimo as asyncio;

async fn my_async_function1() {
    println!("Hello from my async function 1");
    asyncio::sleep(Duration::from_secs(2)).await;
    println!("Done with async function 1");
}

async fn my_async_function2() {
    println!("Hello from my async function 2");
    asyncio::sleep(Duration::from_secs(1)).await;
    println!("Done with async function 2");
}

#[asyncio::main]
async fn main() {
    println!("Starting main function");
    let _task1 = asyncio::create_task(my_async_function1());
    let _task2 = asyncio::create_task(my_async_function2());
    println!("main function doing other work");
    asyncio::sleep(Duration::from_secs(3)).await;
    println!("Done with main function");
}
