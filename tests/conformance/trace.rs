//! What scenarios print, and its comparison with what CPython printed: `scenarios/tracelib.py` in Rust.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kumihimo::{Builder, CancelledError, Runner, TaskError, TaskHandle, TaskId};

/// Lines that were printed since the scenario began, each with the task that printed it.
static LINES: Mutex<Vec<(Option<TaskId>, String)>> = Mutex::new(Vec::new());
/// Held by the scenario that runs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Prints its arguments, joined by blanks, as one line.
#[macro_export]
macro_rules! log {
    ($($part:expr),+ $(,)?) => {
        $crate::trace::print(&[$($crate::trace::Show::show(&$part)),+])
    };
}

pub(crate) fn print(parts: &[String]) {
    let task = kumihimo::current_task().map(|task| task.id());
    LINES.lock().unwrap().push((task, parts.join(" ")));
}

/// How a value is printed.
pub(crate) trait Show {
    fn show(&self) -> String;
}

macro_rules! as_displayed {
    ($($type:ty)*) => {$(
        impl Show for $type {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

as_displayed!(str String bool i32 u64 usize);

impl<T: Show + ?Sized> Show for &T {
    fn show(&self) -> String {
        (**self).show()
    }
}

impl<T: Show> Show for Arc<T> {
    fn show(&self) -> String {
        (**self).show()
    }
}

impl Show for () {
    fn show(&self) -> String {
        "none".into()
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".into(), Show::show)
    }
}

/// Exceptions are values: a list shows them as such.
impl<T: Show, E: Show> Show for Result<T, E> {
    fn show(&self) -> String {
        match self {
            Ok(value) => value.show(),
            Err(error) => error.show(),
        }
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self) -> String {
        self.as_slice().show()
    }
}

impl<T: Show, const N: usize> Show for [T; N] {
    fn show(&self) -> String {
        self.as_slice().show()
    }
}

impl<T: Show> Show for [T] {
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Show::show).collect::<Vec<_>>().join(", "))
    }
}

/// Type name and message of an exception.
fn exception(name: &str, message: impl Display) -> String {
    let message = message.to_string();
    if message.is_empty() { name.into() } else { format!("{name}: {message}") }
}

impl Show for CancelledError {
    fn show(&self) -> String {
        exception("CancelledError", self.message().unwrap_or_default())
    }
}

impl Show for TaskError {
    fn show(&self) -> String {
        match self {
            TaskError::Cancelled(error) => error.show(),
            TaskError::Panicked(error) => error.message().into(),
        }
    }
}

/// An exception that a scenario raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueError(pub(crate) &'static str);

impl Show for ValueError {
    fn show(&self) -> String {
        exception("ValueError", self.0)
    }
}

/// An exception that a scenario raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookupError(pub(crate) &'static str);

impl Show for LookupError {
    fn show(&self) -> String {
        exception("LookupError", self.0)
    }
}

/// A number of seconds, as asyncio takes it.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// `asyncio.wait(tasks)`: waits until all have ended, in whatever way, and leaves them alone when cancelled.
pub(crate) async fn wait(tasks: &[TaskHandle]) {
    for task in tasks {
        task.wait_end().await;
    }
}

/// How a scenario is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Mock,
    /// For scenarios with threads that sleep.
    Real,
}

/// On which flavours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavours {
    All,
    /// For those that count asyncio's passes.
    OneThread,
}

/// Runs a scenario, and compares what it prints with what CPython printed: byte for byte on one thread; on workers, where
/// nothing is promised about which task goes first, the same lines, each task's own in order.
pub(crate) fn compare(name: &str, clock: Clock, flavours: Flavours, program: impl Fn(Builder)) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let builder = || Runner::builder().start_paused(clock == Clock::Mock);

    let reference = printed(|| program(builder().current_thread()));
    let lines: Vec<_> = reference.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, expected(name).lines().collect::<Vec<_>>(), "{name} on one thread");

    let workers: &[usize] = if flavours == Flavours::All { &[1, 2, 4] } else { &[] };
    for &workers in workers {
        let lines = printed(|| program(builder().worker_threads(workers)));
        assert_eq!(by_task(&lines), by_task(&reference), "{name} on {workers} workers: {lines:#?}");
    }
}

fn printed(program: impl FnOnce()) -> Vec<(Option<TaskId>, String)> {
    LINES.lock().unwrap().clear();
    program();
    std::mem::take(&mut *LINES.lock().unwrap())
}

/// Each task's own lines, in order; the tasks in no particular order.
fn by_task(lines: &[(Option<TaskId>, String)]) -> Vec<Vec<&str>> {
    let mut tasks: Vec<(Option<TaskId>, Vec<&str>)> = Vec::new();
    for (task, line) in lines {
        match tasks.iter_mut().find(|(id, _)| id == task) {
            Some((_, own)) => own.push(line),
            None => tasks.push((*task, vec![line])),
        }
    }
    let mut tasks: Vec<_> = tasks.into_iter().map(|(_, own)| own).collect();
    tasks.sort();
    tasks
}

fn expected(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("tests/conformance/scenarios/{name}.expected"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
