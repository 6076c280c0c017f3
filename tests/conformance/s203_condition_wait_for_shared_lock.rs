//! `wait_until` waits until the predicate holds and gives its value; of two conditions on one lock, each wakes its own
//! waiters.

use std::sync::Arc;

use kumihimo as asyncio;
use kumihimo::{Condition, Lock};

use crate::trace::seconds;

/// Its lock guards the level of a tank.
type OnLevel = Arc<Condition<i32>>;

async fn drinker(label: &'static str, filled: OnLevel, emptied: OnLevel, thirst: i32) {
    let mut tank = filled.acquire().await;
    let level = filled.wait_until(&mut tank, |level| (*level >= thirst).then_some(*level)).await;
    log!(label, "drinks", thirst, "of", level, "lock held", filled.locked());
    *tank -= thirst;
    emptied.notify(1);
}

async fn watcher(emptied: OnLevel) {
    let mut tank = emptied.acquire().await;
    emptied.wait(&mut tank).await;
    log!("watcher told, level", *tank);
}

pub(crate) async fn main() {
    let lock = Arc::new(Lock::with_value(0));
    let [filled, emptied] = [(); 2].map(|()| Arc::new(Condition::with_lock(lock.clone())));
    let a = asyncio::create_task(drinker("a", filled.clone(), emptied.clone(), 3));
    let b = asyncio::create_task(drinker("b", filled.clone(), emptied.clone(), 5));
    let w = asyncio::create_task(watcher(emptied));
    asyncio::sleep(seconds(0.02)).await;
    for amount in [1, 3, 4] {
        {
            let mut tank = lock.acquire().await;
            *tank += amount;
            log!("filled up to", *tank);
            filled.notify_all();
        }
        asyncio::sleep(seconds(0.02)).await;
        log!("done", a.done(), b.done(), w.done());
    }
    let mut tank = filled.acquire().await;
    log!("at once", filled.wait_until(&mut tank, |_| Some("true already")).await);
}
