//! `shutdown(true)` drops the items; `join` still waits for items fetched before and not yet done.

use kumihimo as asyncio;
use kumihimo::Queue;

use crate::trace::seconds;

pub(crate) async fn main() {
    let q = Queue::new(0);
    for i in 0..3 {
        q.put_nowait(i).unwrap();
    }
    q.shutdown(true);
    log!("size", q.qsize());
    q.join().await;
    log!("join returns");
    if let Err(error) = q.get().await {
        log!("get", error);
    }

    let q = Queue::new(0);
    for i in 0..3 {
        q.put_nowait(i).unwrap();
    }
    log!("fetched", q.get().await);
    let joining = q.clone();
    let joiner = asyncio::create_task(async move { joining.join().await });
    asyncio::sleep(seconds(0.02)).await;
    q.shutdown(true);
    asyncio::sleep(seconds(0.02)).await;
    log!("one item is still being worked on: joined", joiner.done());
    q.task_done().unwrap();
    joiner.await;
    log!("joined");
}
