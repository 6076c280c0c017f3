//! `put` and `get` that can succeed do not give way; a `put` wakes one getter in the next pass; a getter that comes too
//! late waits again.

use kumihimo as asyncio;
use kumihimo::Queue;

async fn passes(n: usize) {
    for i in 0..n {
        log!("-- pass", i);
        asyncio::yield_now().await;
    }
}

async fn getter(label: &str, q: Queue<&'static str>) {
    log!(label, "got", q.get().await);
}

async fn joiner(q: Queue<&'static str>) {
    q.join().await;
    log!("joined");
}

pub(crate) async fn main() {
    let q = Queue::new(0);
    asyncio::get_running_loop().call_soon(|| log!("first pass"));
    for i in ["0", "1", "2"] {
        q.put(i).await.unwrap();
    }
    log!([q.get().await, q.get().await, q.get().await], "in one step");
    for _ in 0..3 {
        q.task_done().unwrap();
    }
    for label in ["a", "b"] {
        drop(asyncio::create_task(getter(label, q.clone())));
    }
    asyncio::yield_now().await;
    q.put_nowait("x").unwrap();
    log!("put one");
    passes(2).await;
    q.put_nowait("y").unwrap();
    log!("put one and take it back:", q.get_nowait().unwrap());
    passes(2).await;
    q.put_nowait("z").unwrap();
    passes(2).await;
    drop(asyncio::create_task(joiner(q.clone())));
    asyncio::yield_now().await;
    for _ in 0..3 {
        q.task_done().unwrap();
    }
    log!("all marked done");
    passes(2).await;
}
