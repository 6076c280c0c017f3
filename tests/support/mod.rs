//! What the tests share.

// Not every test uses everything.
#![allow(dead_code)]

pub(crate) mod processes;

use std::fmt;
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use kumihimo::{Builder, Runner, TaskError};

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kinds of loop that tests run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    CurrentThread,
    Workers(usize),
}

impl Flavour {
    pub(crate) const ALL: [Flavour; 4] =
        [Flavour::CurrentThread, Flavour::Workers(1), Flavour::Workers(2), Flavour::Workers(4)];

    /// A builder for it, with a mock clock.
    pub(crate) fn builder(self) -> Builder {
        self.builder_in_real_time().start_paused(true)
    }

    pub(crate) fn builder_in_real_time(self) -> Builder {
        match self {
            Flavour::CurrentThread => Runner::builder().current_thread(),
            Flavour::Workers(workers) => Runner::builder().worker_threads(workers),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flavour::CurrentThread => f.write_str("one thread"),
            Flavour::Workers(workers) => write!(f, "{workers} workers"),
        }
    }
}

/// Runs a test on every flavour, each with a mock clock.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for flavour in Flavour::ALL {
        on(flavour, test());
    }
}

/// Runs a test on one flavour, with a mock clock.
pub(crate) fn on<F: Future>(flavour: Flavour, test: F) -> F::Output {
    within_patience(flavour, || {
        let runner = flavour.builder().build().unwrap();
        match runner.run(test) {
            Ok(output) => output,
            Err(TaskError::Panicked(panic)) => panic.resume(),
            Err(error) => panic!("{error}, on {flavour}"),
        }
    })
}

/// Ends the process if a test hangs, so that one sees which.
pub(crate) fn within_patience<T>(what: impl fmt::Display, test: impl FnOnce() -> T) -> T {
    let text = format!("{:?} hangs, on {what}", std::thread::current().name().unwrap_or("?"));
    let (done, waiting) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Not through `eprintln`, which the test harness keeps until the end of the test.
            let _ = writeln!(std::io::stderr(), "{text}");
            std::process::abort();
        }
    });
    let guard = Ended(Some(done), Some(watchdog));
    let output = test();
    drop(guard);
    output
}

struct Ended(Option<mpsc::Sender<()>>, Option<std::thread::JoinHandle<()>>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0 = None;
        let _ = self.1.take().unwrap().join();
    }
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a panic said.
pub(crate) fn panic_message(test: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).expect_err("no panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).into(),
    }
}

/// Waits without blocking the loop: on one thread somebody else has to get on.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        kumihimo::yield_now().await;
    }
}
