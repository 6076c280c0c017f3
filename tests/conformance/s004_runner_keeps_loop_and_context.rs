//! One runner runs several coroutines on one loop and in one context; a pending task goes on in between.

use std::cell::OnceCell;

use kumihimo as asyncio;
use kumihimo::{Context, ContextVar, SharedTask};

use crate::trace::{caught, seconds};

static VAR: ContextVar<&str> = ContextVar::with_default("var", "unset");

async fn ticker() -> &'static str {
    for i in 0..3 {
        asyncio::sleep(seconds(0.1)).await;
        log!("tick", i);
    }
    "ticker done"
}

async fn first(task: &OnceCell<SharedTask<&'static str>>) -> &'static str {
    log!("first sees", VAR.get());
    VAR.set("from first");
    task.set(asyncio::create_task(ticker()).shared()).unwrap();
    asyncio::sleep(seconds(0.15)).await;
    "one"
}

async fn second(task: &OnceCell<SharedTask<&'static str>>) -> &'static str {
    log!("second sees", VAR.get());
    log!(task.get().unwrap().clone().await);
    "two"
}

pub(crate) fn main(builder: asyncio::Builder) {
    let task = OnceCell::new();
    let runner = builder.build().unwrap();
    let event_loop = runner.get_loop();
    log!(runner.run(first(&task)));
    log!("task pending between runs", !task.get().unwrap().done());
    log!(runner.run(second(&task)));
    log!("own context", runner.run_in_context(Context::new(), second(&task)));
    log!("same loop", runner.get_loop() == event_loop);
    runner.close();
    log!("outside sees", VAR.get());
    log!("loop closed", event_loop.is_closed());
    // The compiler knows that a closed runner is gone; its loop can still be asked.
    if let Err(error) = caught(|| event_loop.call_soon(|| ())) {
        log!("after close", error);
    }
}
