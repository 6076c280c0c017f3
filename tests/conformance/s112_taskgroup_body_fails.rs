//! A failing body cancels the children; its error comes last in the group, after the children's own failures.

use kumihimo as asyncio;

use crate::trace::{LookupError, Show, ValueError, seconds};

/// What a task of the group can fail with.
enum Error {
    Value(ValueError),
    Lookup(LookupError),
}

impl Show for Error {
    fn show(&self) -> String {
        match self {
            Error::Value(error) => error.show(),
            Error::Lookup(error) => error.show(),
        }
    }
}

async fn child(label: &'static str, cleanup: f64, fails: bool) -> Result<(), Error> {
    let result = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await;
    asyncio::sleep(seconds(cleanup)).await;
    log!(label, "ends");
    match result {
        // An error out of a `finally` takes the cancellation's place.
        _ if fails => Err(Error::Value(ValueError(label))),
        Ok(()) => Ok(()),
        Err(cancelled) => cancelled.raise().await,
    }
}

pub(crate) async fn main() {
    for fails in [false, true] {
        let group = asyncio::task_group(async |tg| {
            tg.create_task(child("slow", 0.06, fails));
            tg.create_task(child("fast", 0.03, fails));
            asyncio::sleep(seconds(0.02)).await;
            Err::<(), _>(Error::Lookup(LookupError("body")))
        });
        if let Err(group) = group.await {
            log!("raised", group);
        }
    }
}
