//! `join` waits for `task_done` of every item, also of items that workers add meanwhile.

use kumihimo as asyncio;
use kumihimo::Queue;

use crate::trace::seconds;

async fn worker(label: &str, q: Queue<i32>, delay: f64) {
    loop {
        let depth = q.get().await.unwrap();
        asyncio::sleep(seconds(delay)).await;
        log!(label, "processed depth", depth);
        if depth > 0 {
            q.put_nowait(depth - 1).unwrap();
        }
        q.task_done().unwrap();
    }
}

pub(crate) async fn main() {
    let q = Queue::new(0);
    q.join().await;
    log!("join of an unused queue returns at once");
    let w = asyncio::create_task(worker("worker", q.clone(), 0.02));
    q.put_nowait(2).unwrap();
    q.put_nowait(0).unwrap();
    q.join().await;
    log!("joined, worker waits for more", !w.done());
    w.cancel();
    asyncio::wait(&[&w]).await;
    q.put_nowait(0).unwrap();
    if asyncio::timeout(seconds(0.04), async |_| q.join().await).await.is_err() {
        log!("join waits for unfetched items");
    }
}
