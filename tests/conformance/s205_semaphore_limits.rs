//! Three at a time, strictly in the order of asking; the permit is given back on failure.

use std::sync::{Arc, Mutex};

use kumihimo as asyncio;
use kumihimo::Semaphore;

use crate::trace::{OnOneThread, ValueError, seconds};

#[derive(Default)]
struct Count {
    active: usize,
    peak: usize,
}

async fn worker(
    label: &'static str,
    sem: Arc<Semaphore>,
    delay: f64,
    count: Arc<Mutex<Count>>,
) -> Result<(), ValueError> {
    let _permit = sem.acquire().await;
    {
        let mut count = count.lock().unwrap();
        count.active += 1;
        count.peak = count.peak.max(count.active);
        log!(label, "enters, active", OnOneThread(count.active));
    }
    asyncio::sleep(seconds(delay)).await;
    count.lock().unwrap().active -= 1;
    if label == "b" { Err(ValueError(label)) } else { Ok(()) }
}

pub(crate) async fn main() {
    let sem = Arc::new(Semaphore::new(3));
    let count = Arc::new(Mutex::new(Count::default()));
    let delays = [("a", 0.02), ("b", 0.06), ("c", 0.1), ("d", 0.12), ("e", 0.12), ("f", 0.14)];
    let tasks = delays.map(|(x, d)| asyncio::create_task(worker(x, sem.clone(), d, count.clone())));
    asyncio::sleep(seconds(0.01)).await;
    log!("locked", sem.locked());
    asyncio::wait(&tasks).await;
    log!("peak", count.lock().unwrap().peak, "locked", sem.locked(), tasks[1].try_result());
}
