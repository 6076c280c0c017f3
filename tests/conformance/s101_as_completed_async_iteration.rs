//! The iteration gives the very tasks that were passed in; leaving early leaves the rest running; it can go on.

use std::collections::HashMap;

use kumihimo as asyncio;

use crate::trace::seconds;

async fn work(label: &'static str, delay: f64) -> &'static str {
    asyncio::sleep(seconds(delay)).await;
    log!(label, "ends");
    label
}

pub(crate) async fn main() {
    let given = [("slow", 0.15), ("quick", 0.03), ("middle", 0.09)];
    let given = given.map(|(n, d)| (asyncio::create_task(work(n, d)).shared(), n));
    let tasks = HashMap::from(given.clone().map(|(task, n)| (task.handle(), n)));
    let mut iterator = asyncio::as_completed(given.map(|(task, _)| task)).timeout(seconds(5.0));
    // A loop that is left in its first turn.
    if let Some(Ok(task)) = iterator.next().await {
        log!("is mine", tasks.contains_key(&task), "done", task.done(), (&task).await);
    }
    asyncio::sleep(seconds(0.25)).await;
    log!("left the loop, the rest went on");
    while let Some(Ok(task)) = iterator.next().await {
        log!("resumed with", tasks[&*task]);
    }
}
