//! Whether the execution has failed: then every worker stops, and nothing is run any more.

use std::cell::RefCell;

thread_local! {
    static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What an execution that has failed ends with, once nothing is run any more.
#[derive(Debug)]
pub struct Failed;

/// An execution begins.
pub fn rewind() {
    FAILURE.set(None);
}

/// The execution has failed; what came first counts.
pub fn fail(why: impl Into<String>) {
    FAILURE.with_borrow_mut(|failure| _ = failure.get_or_insert_with(|| why.into()));
}

/// Why it has failed, if it has.
pub fn failure() -> Option<String> {
    FAILURE.with_borrow(Clone::clone)
}

/// Whether it has failed.
pub fn is_failed() -> bool {
    FAILURE.with_borrow(Option::is_some)
}
