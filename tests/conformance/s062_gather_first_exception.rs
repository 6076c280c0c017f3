//! The first error comes out at once; the other children go on, and their later errors are dropped.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn work(label: &'static str, delay: f64, fail: bool) -> Result<&'static str, ValueError> {
    asyncio::sleep(seconds(delay)).await;
    log!(label, if fail { "fails" } else { "ends" });
    if fail { Err(ValueError(label)) } else { Ok(label) }
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    event_loop.set_exception_handler(|_, _| log!("unexpected report"));
    let mut g = asyncio::try_gather([
        work("a", 0.15, false),
        work("b", 0.05, true),
        work("c", 0.1, true),
        work("d", 0.2, false),
    ]);
    if let Err(error) = (&mut g).await {
        log!("gather raised", error);
    }
    log!("cancel of the finished gather", g.cancel());
    asyncio::sleep(seconds(0.3)).await;
    log!("all others ended by themselves");
}
