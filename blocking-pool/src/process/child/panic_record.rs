//! What the panic hook sees of a call's panic, kept until the panic is caught.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::env;
use std::mem;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};

use crate::process::panics::RemotePanic;

thread_local! {
    /// Whether a call runs on this thread.
    static CALLING: Cell<bool> = const { Cell::new(false) };
    /// The call's last panic. The call may have caught it.
    static RECORD: RefCell<Option<RemotePanic>> = const { RefCell::new(None) };
}

/// What Rust's runtime says before it aborts, because something panics where nothing may. Nobody will catch these.
const LAST_WORDS: [&str; 2] =
    ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

/// Installs the hook. It prints no panic that `catch` will report, and leaves the others to the hook that was.
pub(super) fn install() {
    let before = take_hook();
    let with_backtrace = env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "0");
    set_hook(Box::new(move |info| {
        let message = message(info.payload());
        let fatal = cfg!(panic = "abort") || LAST_WORDS.contains(&message.as_str());
        if !CALLING.get() || fatal {
            // If a destructor panics during a panic, the first one is what people want to know.
            if let Some(first) = RECORD.take() {
                eprintln!("panic in a call: {first}");
            }
            return before(info);
        }
        RECORD.set(Some(record(message, info, with_backtrace)));
    }));
}

/// Runs a call.
///
/// # Errors
///
/// Its panic.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, RemotePanic> {
    CALLING.set(true);
    // Nothing that the call has touched is used after a panic, but what the user's own functions share; they may look
    // at `std::thread::panicking` and poisoned locks as after any caught panic.
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CALLING.set(false);
    let outcome = outcome.map_err(remote_panic);
    // Of a panic that the call itself has caught.
    RECORD.set(None);
    outcome
}

fn record(message: String, info: &PanicHookInfo<'_>, with_backtrace: bool) -> RemotePanic {
    let location = info.location().map(ToString::to_string);
    let backtrace = with_backtrace.then(|| Backtrace::force_capture().to_string());
    RemotePanic::new(message, location, backtrace)
}

/// The record of the panic that has this payload, or what the payload itself tells.
fn remote_panic(payload: Box<dyn Any + Send>) -> RemotePanic {
    let message = message(&*payload);
    // The record may be of an earlier panic, which the call has caught, before it unwound with `resume_unwind`, or
    // installed a hook of its own.
    let record = RECORD.take().filter(|record| record.message() == message);
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload whose destructor panics, perhaps with another such payload.
        mem::forget(again);
    }
    record.unwrap_or_else(|| RemotePanic::new(message, None, None))
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_string()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is no text was thrown".to_string()
    }
}
