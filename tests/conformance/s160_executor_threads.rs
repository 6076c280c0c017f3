//! Blocking functions in the default pool and in an own pool: values, errors, parallelism, one-thread FIFO.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};

use kumihimo as asyncio;
use kumihimo::ThreadPoolExecutor;

use crate::trace::{Show, ValueError, caught, seconds};

fn job(label: &str, time: f64, main_thread: ThreadId) -> [String; 2] {
    thread::sleep(seconds(time));
    [label.show(), (thread::current().id() != main_thread).show()]
}

fn fails() -> Result<(), ValueError> {
    Err(ValueError("job failed"))
}

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let main_thread = thread::current().id();
    log!(event_loop.run_in_executor(None, move || job("default pool", 0.02, main_thread)).await);
    if let Err(error) = event_loop.run_in_executor(None, fails).await {
        log!("raised", error);
    }
    let asks_for_loop = || caught(asyncio::get_running_loop).err();
    log!("loop in the thread:", event_loop.run_in_executor(None, asks_for_loop).await);
    let order = Arc::new(Mutex::new(Vec::new()));
    let serial = |label| {
        let order = order.clone();
        move || {
            thread::sleep(seconds(0.02));
            order.lock().unwrap().push(label);
        }
    };

    let pool = ThreadPoolExecutor::new(1);
    let jobs = ["a", "b", "c", "d"].map(|c| event_loop.run_in_executor(&pool, serial(c)));
    asyncio::gather(jobs).await;
    pool.shutdown(true, false).await;
    log!("one thread keeps the order", *order.lock().unwrap());
    // Python's barrier gives each thread its number.
    let (barrier, numbers) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
    let pool = ThreadPoolExecutor::new(3);
    let jobs = [(); 3].map(|()| {
        let (barrier, numbers) = (barrier.clone(), numbers.clone());
        event_loop.run_in_executor(&pool, move || {
            barrier.wait();
            numbers.fetch_add(1, Ordering::Relaxed)
        })
    });
    let mut numbers = asyncio::gather(jobs).await;
    pool.shutdown(true, false).await;
    numbers.sort_unstable();
    log!("three jobs met at a thread barrier", numbers);
}
