//! Eager tasks run inside of `spawn` up to their first suspension; some are done when it returns.

use kumihimo as asyncio;
use kumihimo::{ContextVar, task};

use crate::trace::{ValueError, seconds};

static VAR: ContextVar<&str> = ContextVar::with_default("var", "outer");

/// In place of the coroutine's name, which isn't known at run time, the task's.
fn current() -> String {
    asyncio::current_task().unwrap().name()
}

async fn quick() -> &'static str {
    log!("quick runs, current is", current());
    VAR.set("inner");
    "quick value"
}

async fn failing() -> Result<(), ValueError> {
    Err(ValueError("early"))
}

async fn blocks() -> &'static str {
    log!("blocks: before");
    asyncio::sleep(seconds(0.02)).await;
    log!("blocks: after");
    "blocks value"
}

pub(crate) async fn main() {
    asyncio::current_task().unwrap().set_name("main");
    let eager = || task::Builder::new().eager(true);
    let t = eager().name("quick").spawn(quick());
    log!("created, done", t.done(), t.try_result(), "cancel", t.cancel());
    log!("context outside", VAR.get(), "current is", current());
    let f = eager().spawn(failing());
    log!("create_task did not raise, task has", f.try_result());
    let b = eager().spawn(blocks());
    log!("created, done", b.done());
    log!(b.await);
    let c = eager().spawn(blocks());
    log!("cancel", c.cancel());
    if asyncio::catch_cancelled(&c).await.is_err() {
        log!("cancelled", c.cancelled());
    }
    let d = task::Builder::new().name("quick").spawn(quick());
    log!("default factory, done", d.done());
    d.await;
}
