//! A sleep of nothing gives way for exactly one pass, so tasks that do it take turns step by step.

use std::time::Duration;

use kumihimo as asyncio;

async fn stepper(label: &str, steps: usize) {
    for i in 0..steps {
        log!(label, i);
        if i % 2 == 0 {
            asyncio::sleep(Duration::ZERO).await;
        } else {
            asyncio::yield_now().await;
        }
    }
    log!(label, "end");
}

pub(crate) async fn main() {
    let tasks = [("a", 3), ("b", 2), ("c", 4)];
    let tasks = tasks.map(|(label, steps)| asyncio::create_task(stepper(label, steps)));
    asyncio::get_running_loop().call_soon(|| log!("callback scheduled before the first step"));
    asyncio::yield_now().await;
    log!("main after one pass");
    asyncio::gather(tasks).await;
}
