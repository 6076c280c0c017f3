//! A semaphore may begin with nothing and grow; so many releases in one step wake so many waiters; a bounded one never
//! grows.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{BoundedSemaphore, ReleasedTooOften, Semaphore};

use crate::trace::{Show, seconds};

impl Show for ReleasedTooOften {
    fn show(&self) -> String {
        "ValueError".into()
    }
}

/// Keeps its permit: only `release` gives one.
async fn waiter(label: &'static str, sem: Arc<Semaphore>) {
    sem.acquire().await.forget();
    log!(label, "has a permit");
}

pub(crate) async fn main() {
    let sem = Arc::new(Semaphore::new(0));
    log!("locked", sem.locked());
    let tasks = ["a", "b", "c", "d"].map(|x| asyncio::create_task(waiter(x, sem.clone())));
    asyncio::sleep(seconds(0.02)).await;
    for _ in 0..3 {
        sem.release();
    }
    asyncio::sleep(seconds(0.02)).await;
    log!("released 3, ended", tasks.iter().filter(|t| t.done()).count(), "locked", sem.locked());
    sem.release();
    sem.release();
    asyncio::wait(&tasks).await;
    log!("released 2, locked", sem.locked());
    let _permit = sem.acquire().await;
    log!("acquired, locked", sem.locked());

    let bounded = BoundedSemaphore::new(1);
    drop(bounded.acquire().await);
    if let Err(error) = bounded.release() {
        log!("bounded", error);
    }
    let _permit = bounded.acquire().await;
    log!("bounded, acquired, locked", bounded.locked());
}
