//! `run` does not return before jobs in the default thread pool have ended, even cancelled ones.

use std::sync::{Arc, Mutex};
use std::thread;

use kumihimo as asyncio;

use crate::trace::seconds;

type Finished = Arc<Mutex<Vec<&'static str>>>;

fn job(label: &'static str, time: f64, finished: &Finished) -> &'static str {
    thread::sleep(seconds(time));
    finished.lock().unwrap().push(label);
    label
}

pub(crate) fn main(builder: asyncio::Builder) {
    let finished = Finished::default();
    crate::run(builder, async {
        let event_loop = asyncio::get_running_loop();
        let list = finished.clone();
        let unawaited = event_loop.run_in_executor(None, move || job("unawaited", 0.12, &list));
        let list = finished.clone();
        let cancelled = asyncio::create_task(asyncio::to_thread(move || job("cancelled", 0.2, &list)));
        asyncio::sleep(seconds(0.04)).await;
        cancelled.cancel();
        if asyncio::catch_cancelled(cancelled).await.is_err() {
            log!("await raised CancelledError");
        }
        log!("finished so far", *finished.lock().unwrap());
        log!("main returns, future done:", unawaited.done());
    });
    log!("after run", *finished.lock().unwrap());
}
