//! With `outcomes` errors and cancellations appear as values too, in argument order.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn ok(delay: f64) -> Result<&'static str, ValueError> {
    asyncio::sleep(seconds(delay)).await;
    Ok("value")
}

async fn fail(delay: f64) -> Result<&'static str, ValueError> {
    asyncio::sleep(seconds(delay)).await;
    Err(ValueError("failed"))
}

pub(crate) async fn main() {
    let gone = asyncio::create_task(ok(10.0));
    let handle = gone.handle();
    asyncio::get_running_loop().call_later(seconds(0.04), move || _ = handle.cancel());
    let (a, b, c, d) = asyncio::gather!(ok(0.06), fail(0.02), gone, ok(0.02)).outcomes().await;
    log!([a, b, c, d]);
    log!("my cancelling", asyncio::current_task().unwrap().cancelling());
}
