//! FIFO, LIFO and priority order; ties in a priority queue are broken by the item itself; sizes are exact.

use kumihimo::queue::Order;
use kumihimo::{LifoQueue, PriorityQueue, Queue};

async fn drain<T, O: Order<T>>(queue: &Queue<T, O>, items: impl IntoIterator<Item = T>) -> Vec<T> {
    for item in items {
        queue.put(item).await.unwrap();
    }
    let mut out = Vec::new();
    while !queue.empty() {
        out.push(queue.get().await.unwrap());
    }
    out
}

pub(crate) async fn main() {
    log!("fifo", drain(&Queue::new(0), [3, 1, 2]).await);
    log!("lifo", drain(&LifoQueue::new(0), [3, 1, 2]).await);
    log!("priority", drain(&PriorityQueue::new(0), [3, 1, 2, 1]).await);
    log!("ties", drain(&PriorityQueue::new(0), [(2, "b"), (1, "z"), (2, "a")]).await);
    let q = Queue::new(2);
    log!("maxsize", q.maxsize(), "size", q.qsize(), "empty", q.empty(), "full", q.full());
    q.put_nowait(1).unwrap();
    q.put_nowait(2).unwrap();
    log!("size", q.qsize(), "empty", q.empty(), "full", q.full());
    // Sizes are not negative.
    let endless = Queue::new(0);
    for i in 0..1000 {
        endless.put_nowait(i).unwrap();
    }
    log!("never full", endless.full(), endless.qsize());
}
