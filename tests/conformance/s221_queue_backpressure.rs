//! A bounded queue: the producer waits for the consumer; waiting putters are served in order.

use kumihimo as asyncio;
use kumihimo::Queue;

use crate::trace::{OnOneThread, seconds};

async fn producer(q: Queue<i32>) {
    for i in 0..5 {
        q.put(i).await.unwrap();
        log!("put", i);
    }
    log!("producer ends");
}

async fn consumer(q: Queue<i32>) {
    for _ in 0..5 {
        asyncio::sleep(seconds(0.02)).await;
        let got = q.get_nowait().unwrap();
        log!("got", got);
    }
}

async fn put(q: Queue<&'static str>, item: &'static str) {
    q.put(item).await.unwrap();
}

pub(crate) async fn main() {
    let q = Queue::new(2);
    asyncio::gather((producer(q.clone()), consumer(q))).await;
    let q = Queue::new(1);
    q.put_nowait("first").unwrap();
    let putters = ["a", "b", "c"].map(|x| asyncio::create_task(put(q.clone(), x)));
    asyncio::sleep(seconds(0.02)).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(q.get().await.unwrap());
    }
    log!("order", OnOneThread(order), "all put", putters.iter().all(|p| p.done()));
}
