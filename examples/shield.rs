//! `shield`: the caller is cancelled, the task that it waits for goes on. Run it with `cargo run --example shield`.

use std::time::Duration;

use kumihimo as asyncio;

async fn something() -> &'static str {
    println!("something starts");
    asyncio::sleep(Duration::from_secs(1)).await;
    println!("something ends");
    "result of something"
}

async fn caller(inner: asyncio::SharedTask<&'static str>) {
    // Caught and not raised again: the cancellation is ignored.
    let res = asyncio::catch_cancelled(asyncio::shield(inner)).await;
    println!("res is {}", res.unwrap_or("none"));
}

#[asyncio::main]
async fn main() {
    println!("{}", asyncio::shield(something()).await);

    let inner = asyncio::create_task(something()).shared();
    let task = asyncio::create_task(caller(inner.clone()));
    asyncio::sleep(Duration::from_millis(500)).await;
    task.cancel();
    (&task).await;
    println!("caller cancelled {} something done {}", task.cancelled(), inner.done());
    println!("{}", inner.await);
}
