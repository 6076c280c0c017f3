//! What scenarios print: `scenarios/tracelib.py` in Rust.

use std::cell::RefCell;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kumihimo::{
    CancelledError, ExceptionGroup, InvalidStateError, QueueShutDown, ResultError, TaskError, TaskId,
    TimeoutError,
};

/// A line, and the task that printed it: none in callbacks and outside of tasks.
pub(crate) type Line = (Option<TaskId>, String);

/// The lines of one run of a scenario, from all its threads.
#[derive(Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<Line>>>);

thread_local! {
    /// Where this thread prints to.
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

impl Recording {
    /// From now on this thread prints to the recording.
    pub(crate) fn enter(&self) {
        RECORDING.with_borrow_mut(|recording| *recording = Some(self.clone()));
    }

    /// The lines printed so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }
}

/// Prints its arguments, joined by blanks, as one line.
#[macro_export]
macro_rules! log {
    ($($part:expr),+ $(,)?) => {
        $crate::trace::print(&[$($crate::trace::Show::show(&$part)),+])
    };
}

pub(crate) fn print(parts: &[String]) {
    let task = kumihimo::current_task().map(|task| task.id());
    RECORDING.with_borrow(|recording| {
        let recording = recording.as_ref().expect("a thread of a scenario");
        recording.0.lock().unwrap().push((task, parts.join(" ")));
    });
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

as_displayed!(str String bool i32 u64 usize f64);

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

impl<A: Show, B: Show> Show for (A, B) {
    fn show(&self) -> String {
        [self.0.show(), self.1.show()].show()
    }
}

impl<A: Show, B: Show, C: Show> Show for (A, B, C) {
    fn show(&self) -> String {
        [self.0.show(), self.1.show(), self.2.show()].show()
    }
}

/// A value that tells who went first, or how far others had got, which is promised on one thread only.
pub(crate) struct OnOneThread<T>(pub(crate) T);

/// Stands before and behind such a value, in a recording.
const MARK: char = '\u{1}';

impl<T: Show> Show for OnOneThread<T> {
    fn show(&self) -> String {
        format!("{MARK}{}{MARK}", self.0.show())
    }
}

/// A recorded line as it was printed.
pub(crate) fn printed(line: &str) -> String {
    line.replace(MARK, "")
}

/// A recorded line without the values that are promised on one thread only.
pub(crate) fn promised(line: &str) -> String {
    line.split(MARK).step_by(2).collect::<Vec<_>>().join("_")
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

impl Show for InvalidStateError {
    fn show(&self) -> String {
        "InvalidStateError".into()
    }
}

impl Show for TimeoutError {
    fn show(&self) -> String {
        "TimeoutError".into()
    }
}

impl Show for QueueShutDown {
    fn show(&self) -> String {
        "QueueShutDown".into()
    }
}

impl<E: Show> Show for ExceptionGroup<E> {
    fn show(&self) -> String {
        format!("ExceptionGroup{}", self.exceptions().show())
    }
}

/// Names only: where a scenario asks a task for its result too early, or after its cancellation, it prints the type.
impl Show for ResultError {
    fn show(&self) -> String {
        match self {
            ResultError::NotReady => "InvalidStateError".into(),
            ResultError::Task(TaskError::Cancelled(_)) => "CancelledError".into(),
            ResultError::Task(TaskError::Panicked(error)) => error.message().into(),
        }
    }
}

/// Exceptions that scenarios raise.
macro_rules! exceptions {
    ($($name:ident)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) &'static str);

        impl Show for $name {
            fn show(&self) -> String {
                exception(stringify!($name), self.0)
            }
        }

        /// As a handler of exceptions prints it.
        impl Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.show())
            }
        }
    )*};
}

exceptions!(ValueError LookupError);

/// Raises an exception where there is no `Result` to return: in a callback, and where it would be a value.
pub(crate) fn raise(error: impl Show) -> ! {
    std::panic::resume_unwind(Box::new(error.show()))
}

/// What kumihimo panics with where asyncio raises `RuntimeError`.
pub(crate) struct RuntimeError;

impl Show for RuntimeError {
    fn show(&self) -> String {
        "RuntimeError".into()
    }
}

/// `try: f() except RuntimeError`.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, RuntimeError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|_| RuntimeError)
}

/// A number of seconds, as asyncio takes it.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
