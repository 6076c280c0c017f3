//! A leftover task that fails while it is cancelled is reported to the exception handler; `run` still returns main's
//! value.

use kumihimo as asyncio;

use crate::trace::{ValueError, seconds};

async fn leftover() -> Result<(), ValueError> {
    // An error out of a `finally` takes the cancellation's place.
    let _ = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await;
    asyncio::sleep(seconds(0.02)).await;
    Err(ValueError("cleanup failed"))
}

pub(crate) fn main(builder: asyncio::Builder) {
    let mut keep = None;
    let returned = crate::run(builder, async {
        let event_loop = asyncio::get_running_loop();
        event_loop.set_exception_handler(|_, context| log!("handler got", context.exception()));
        keep = Some(asyncio::create_task(leftover()).report_err());
        asyncio::sleep(seconds(0.02)).await;
        "main value"
    });
    log!("run returned", returned);
    log!("leftover", keep.unwrap().try_result());
}
