//! `current_task` follows the interleaving and is none in callbacks; `all_tasks` lists the unfinished ones.

use kumihimo as asyncio;
use kumihimo::{TaskHandle, task};

use crate::trace::{RuntimeError, seconds};

fn names(tasks: Vec<TaskHandle>) -> Vec<String> {
    let mut names: Vec<_> = tasks.iter().map(|task| task.name()).collect();
    names.sort();
    names
}

async fn worker(delay: f64) {
    let me = asyncio::current_task().unwrap();
    for _ in 0..2 {
        asyncio::sleep(seconds(delay)).await;
        log!(me.name(), "is current:", asyncio::current_task().unwrap() == me);
    }
}

async fn program() {
    asyncio::current_task().unwrap().set_name("main");
    let a = task::Builder::new().name("a").spawn(worker(0.1));
    let b = asyncio::create_task(worker(0.25));
    let other = asyncio::create_task(asyncio::sleep(seconds(0.0)));
    log!("generated names differ", b.name() != other.name());
    b.set_name("7");
    asyncio::sleep(seconds(0.03)).await;
    log!("unfinished", names(asyncio::all_tasks()));
    let event_loop = asyncio::get_running_loop();
    event_loop.call_soon(|| log!("in a callback", asyncio::current_task().map(|task| task.name())));
    a.await;
    log!("unfinished", names(asyncio::all_tasks()));
    b.await;
    log!("unfinished", names(asyncio::all_tasks()));
}

pub(crate) fn main(builder: asyncio::Builder) {
    crate::run(builder, program());
    // No error, but none.
    if asyncio::current_task().is_none() {
        log!("without a loop", RuntimeError);
    }
}
