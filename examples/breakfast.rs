//! Coffee and a bagel: one after the other, then both at once. Run it with `cargo run --example breakfast`.

use std::time::Duration;

use kumihimo as asyncio;

async fn brew_coffee() -> &'static str {
    println!("Start brewing coffee...");
    asyncio::sleep(Duration::from_secs(3)).await;
    println!("Done brewing coffee.");
    "Coffee is ready!"
}

async fn toast_bagel() -> &'static str {
    println!("Start toasting bagel...");
    asyncio::sleep(Duration::from_secs(3)).await;
    println!("Done toasting bagel.");
    "Bagel is ready!"
}

#[asyncio::main]
async fn main() {
    let event_loop = asyncio::get_running_loop();
    let (coffee, bagel) = (brew_coffee(), toast_bagel());
    println!("nothing happened yet");

    let start = event_loop.time();
    println!("{} {}", coffee.await, bagel.await);
    println!("individually: {:.0} s", (event_loop.time() - start).as_secs_f64());

    let start = event_loop.time();
    let batch = asyncio::gather!(brew_coffee(), toast_bagel());
    let (coffee_result, bagel_result) = batch.await;
    println!("{coffee_result} {bagel_result}");
    println!("in a batch: {:.0} s", (event_loop.time() - start).as_secs_f64());
}
