//! Tasks work on a copy of their creator's context; a coroutine awaited directly shares it; a context may be given.

use std::convert::Infallible;

use kumihimo as asyncio;
use kumihimo::{ContextVar, task};

use crate::trace::seconds;

static VAR: ContextVar<&str> = ContextVar::with_default("var", "default");

async fn child(label: &'static str) {
    log!(label, "sees", VAR.get());
    VAR.set(label);
    asyncio::sleep(seconds(0.04)).await;
    log!(label, "still sees", VAR.get());
}

async fn program() {
    VAR.set("main");
    let task = asyncio::create_task(child("task"));
    VAR.set("main later");
    asyncio::sleep(seconds(0.02)).await;
    log!("main sees", VAR.get());
    task.await;
    child("awaited").await;
    log!("main sees", VAR.get());
    let ctx = asyncio::copy_context();
    ctx.run(|| VAR.set("given context"));
    task::Builder::new().context(ctx.clone()).spawn(child("task in ctx")).await;
    log!("ctx holds", ctx.get(&VAR), "main sees", VAR.get());
    asyncio::gather!(child("gathered 1"), child("gathered 2")).await;
    let group = asyncio::task_group(async |tg| {
        tg.create_task(async {
            child("grouped").await;
            Ok::<_, Infallible>(())
        });
        Ok(())
    });
    group.await.unwrap();
    log!("main sees", VAR.get());
    let token = VAR.set("temporary");
    VAR.reset(token);
    log!("after reset", VAR.get());
}

pub(crate) fn main(builder: asyncio::Builder) {
    crate::run(builder, program());
    log!("outside", VAR.get());
}
