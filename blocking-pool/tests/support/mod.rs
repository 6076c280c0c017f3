//! What the tests share.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use kumihimo_blocking_pool::{Job, ThreadPoolExecutor};

/// Longer than anything here takes; only a hanging test waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A job that has begun when this returns, and runs until the sender is dropped.
pub(crate) fn occupy(pool: &ThreadPoolExecutor) -> (Job<()>, Sender<()>) {
    let (began, begun) = channel();
    let (end, ended): (_, Receiver<()>) = channel();
    let job = pool.submit(move || {
        began.send(()).unwrap();
        let _ = ended.recv();
    });
    begun.recv_timeout(LONG).expect("the job begins");
    (job, end)
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
