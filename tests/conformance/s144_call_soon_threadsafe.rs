//! Another thread wakes a loop that has nothing to do; calls from one thread keep their order.

use std::sync::{Arc, Mutex};
use std::thread;

use kumihimo as asyncio;

use crate::trace::seconds;

pub(crate) async fn main() {
    let event_loop = asyncio::get_running_loop();
    let fut = event_loop.create_future();
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = event_loop.time();
    let t = {
        let (event_loop, fut, order) = (event_loop.clone(), fut.clone(), order.clone());
        thread::spawn(move || {
            thread::sleep(seconds(0.05));
            for i in 0..5 {
                let order = order.clone();
                event_loop.call_soon_threadsafe(move || order.lock().unwrap().push(i));
            }
            event_loop.call_soon_threadsafe(move || fut.set_result("from the thread").unwrap());
        })
    };
    log!("got", fut.await);
    log!("order", *order.lock().unwrap());
    log!("slept meanwhile", event_loop.time() - start >= seconds(0.04));
    t.join().unwrap();
}
