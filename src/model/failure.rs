//! What an execution failed with: taken note of when it panics, as what comes after that may not be able to tell.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::sync::Once;

use kumihimo_executor::model::trace::{self, Trace};
use kumihimo_executor::model::verdict;

use super::report::{print_schedule, print_tasks};

thread_local! {
    /// Whether this thread explores a model.
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    /// Nothing is printed.
    static HUSHED: Cell<bool> = const { Cell::new(false) };
    /// Panics are noted with their backtraces.
    static TRACED_BACK: Cell<bool> = const { Cell::new(false) };
    /// The panics of this execution, in order.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// How loom begins what it says of an execution that can't go on.
const LOOM_SAYS: [(&str, &str); 6] = [
    ("deadlock; threads", "deadlock: all threads wait"),
    ("Causality violation", "a data race"),
    (
        "Model exceeded maximum number of branches",
        "an execution without an end, or a very long one (see `Builder::max_branches`)",
    ),
    ("[loom internal bug]", "loom itself has failed"),
    ("cannot access Loom execution state", "the model's state was used outside of it"),
    ("Arc leaked", "a leak"),
];

/// This thread explores a model, until this is dropped.
pub(super) struct Watching;

impl Watching {
    pub(super) fn begin() -> Watching {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if WATCHING.get() {
                    take_note(info);
                } else {
                    before(info);
                }
            }));
        });
        WATCHING.set(true);
        PANICS.take();
        Watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHING.set(false);
        HUSHED.set(false);
        TRACED_BACK.set(false);
    }
}

/// From now on, panics are told with their backtraces.
pub(super) fn trace_back() {
    TRACED_BACK.set(true);
}

/// Prints nothing, for as long as what fails has been told.
pub(super) fn hush(hushed: bool) {
    HUSHED.set(hushed);
}

fn take_note(info: &PanicHookInfo<'_>) {
    if info.payload().is::<verdict::Failed>() {
        // The end of what was noted before.
        return;
    }
    let payload = info.payload();
    let text =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a value that is no text");
    let place = info.location().map_or_else(String::new, |place| format!(", at {place}"));
    let known = LOOM_SAYS.iter().find(|(start, _)| text.starts_with(start));
    let what = known.map_or_else(String::new, |(_, meaning)| format!("{meaning}: "));
    let what = format!("{what}{text}{place}");
    let told = match TRACED_BACK.get() {
        true => format!("{what}\n{}", Backtrace::force_capture()),
        false => what.clone(),
    };
    PANICS.with_borrow_mut(|panics| panics.push(told));
    if known.is_some() {
        verdict::fail(what);
    }
    if text.starts_with("panic in a destructor during cleanup") {
        // The process does not come to the report.
        HUSHED.set(false);
        take().print();
    }
}

/// A failed execution.
pub(super) struct Failed {
    why: Option<String>,
    panics: Vec<String>,
    trace: Trace,
}

/// The execution that has just failed.
pub(super) fn take() -> Failed {
    Failed { why: verdict::failure(), panics: PANICS.take(), trace: trace::take() }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.as_deref().or(self.panics.first().map(String::as_str));
        write!(f, "the model has failed: {}", why.unwrap_or("nobody knows why"))
    }
}

impl Failed {
    pub(super) fn print(&self) {
        if HUSHED.get() {
            return;
        }
        eprintln!("\n{self}");
        if !self.panics.is_empty() {
            eprintln!("\npanics in this execution:");
            self.panics.iter().for_each(|panic| eprintln!("  {}", panic.replace('\n', "\n  ")));
        }
        print_tasks(&self.trace);
        print_schedule(&self.trace);
    }
}

/// Where to go on from here.
pub(super) fn print_end(number: u64, kept: Option<&Path>) {
    eprintln!("\nexecution {number} of this part of the exploration");
    match kept {
        Some(path) => eprintln!(
            "to run it alone:\n  KUMIHIMO_MODEL_REPLAY={} RUSTFLAGS=\"--cfg kumihimo_loom\" cargo test --release NAME_OF_THIS_TEST\n",
            path.display()
        ),
        None => eprintln!("it could not be recorded: does the model do the same each time it is run?\n"),
    }
}
