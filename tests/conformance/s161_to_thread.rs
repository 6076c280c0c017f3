//! `to_thread`: context variables one way, errors; the loop goes on meanwhile; nothing starts before the await.

use std::sync::{Arc, Mutex};
use std::thread;

use kumihimo as asyncio;
use kumihimo::ContextVar;

use crate::trace::{LookupError, Show, seconds};

static VAR: ContextVar<&str> = ContextVar::with_default("var", "unset");

fn blocking(a: i32, b: i32) -> [String; 3] {
    let seen = VAR.get().unwrap();
    VAR.set("changed in the thread");
    thread::sleep(seconds(0.1));
    [a.show(), b.show(), seen.show()]
}

fn fails() -> Result<(), LookupError> {
    Err(LookupError("thread failed"))
}

async fn ticker() {
    for i in 0..3 {
        asyncio::sleep(seconds(0.02)).await;
        log!("tick", i);
    }
}

pub(crate) async fn main() {
    VAR.set("from main");
    let ticking = asyncio::create_task(ticker());
    log!(asyncio::to_thread(|| blocking(1, 2)).await);
    log!("main still sees", VAR.get());
    ticking.await;
    if let Err(error) = asyncio::to_thread(fails).await {
        log!("raised", error);
    }
    let started = Arc::new(Mutex::new(Vec::new()));
    let list = started.clone();
    let coro = asyncio::to_thread(move || list.lock().unwrap().push("x"));
    asyncio::sleep(seconds(0.04)).await;
    log!("before the await", *started.lock().unwrap());
    coro.await;
    log!("after the await", *started.lock().unwrap());
}
