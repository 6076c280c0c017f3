//! A getter or putter that is cancelled when it had been woken wakes the next; no item and no room is lost.

use kumihimo as asyncio;
use kumihimo::{Queue, TooManyDone};

use crate::trace::{Show, seconds};

impl Show for TooManyDone {
    fn show(&self) -> String {
        "ValueError".into()
    }
}

async fn getter(label: &'static str, q: Queue<&'static str>) {
    match asyncio::catch_cancelled(q.get()).await {
        Ok(item) => log!(label, "got", item),
        Err(cancelled) => {
            log!(label, "cancelled");
            cancelled.raise().await
        }
    }
}

async fn putter(label: &'static str, q: Queue<&'static str>) {
    match asyncio::catch_cancelled(q.put("an item")).await {
        Ok(put) => {
            put.unwrap();
            log!(label, "has put");
        }
        Err(cancelled) => {
            log!(label, "cancelled");
            cancelled.raise().await
        }
    }
}

pub(crate) async fn main() {
    let q = Queue::new(0);
    let [a, b] = ["a", "b"].map(|x| asyncio::create_task(getter(x, q.clone())));
    asyncio::sleep(seconds(0.02)).await;
    log!("put, then cancel a, which was to get it");
    q.put_nowait("an item").unwrap();
    a.cancel();
    asyncio::wait(&[&a, &b]).await;
    log!("cancelled", a.cancelled(), b.cancelled(), "size", q.qsize());

    let q = Queue::new(1);
    q.put_nowait("the first").unwrap();
    let [c, d] = ["c", "d"].map(|x| asyncio::create_task(putter(x, q.clone())));
    asyncio::sleep(seconds(0.02)).await;
    log!("get", q.get_nowait().unwrap(), "then cancel c, which was to put");
    c.cancel();
    asyncio::wait(&[&c, &d]).await;
    log!("cancelled", c.cancelled(), d.cancelled(), "size", q.qsize());
    q.task_done().unwrap();
    q.task_done().unwrap();
    if let Err(error) = q.task_done() {
        log!("done three times of two", error);
    }
}
