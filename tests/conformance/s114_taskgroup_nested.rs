//! An inner group that fails inside of the outer body: groups nest, the outer children are cancelled.

use kumihimo as asyncio;
use kumihimo::ExceptionGroup;

use crate::trace::{Show, ValueError, seconds};

/// What a task of the groups can fail with.
enum Error {
    Value(ValueError),
    Group(ExceptionGroup<Error>),
}

impl From<ExceptionGroup<Error>> for Error {
    fn from(group: ExceptionGroup<Error>) -> Error {
        Error::Group(group)
    }
}

impl Show for Error {
    fn show(&self) -> String {
        match self {
            Error::Value(error) => error.show(),
            Error::Group(group) => group.show(),
        }
    }
}

async fn bad(label: &'static str, delay: f64) -> Result<(), Error> {
    asyncio::sleep(seconds(delay)).await;
    Err(Error::Value(ValueError(label)))
}

async fn waits(label: &'static str) -> Result<(), Error> {
    if let Err(cancelled) = asyncio::catch_cancelled(asyncio::sleep(seconds(10.0))).await {
        log!(label, "cancelled");
        cancelled.raise().await
    }
    Ok(())
}

pub(crate) async fn main() {
    let group = asyncio::task_group(async |outer| {
        outer.create_task(waits("outer child"));
        let group = asyncio::task_group(async |inner| {
            inner.create_task(bad("inner", 0.02));
            Ok(())
        });
        group.await?;
        log!("never printed");
        Ok(())
    });
    if let Err(group) = group.await {
        log!("raised", group);
    }
    let group = asyncio::task_group(async |outer| {
        outer.create_task(bad("outer", 0.02));
        let group = asyncio::task_group(async |inner| {
            inner.create_task(waits("inner child"));
            Ok(())
        });
        group.await?;
        log!("never printed");
        Ok(())
    });
    if let Err(group) = group.await {
        log!("raised", group, "cancelling", asyncio::current_task().unwrap().cancelling());
    }
}
