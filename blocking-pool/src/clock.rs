//! Keeps a paused clock still while jobs are open.

use kumihimo_reactor::{ClockHold, Reactor};

/// While it lives, a paused clock does not advance by itself.
pub(crate) type Hold = ClockHold;

/// A hold on the clock of the loop that runs on this thread, if one does.
#[inline]
pub(crate) fn hold() -> Option<Hold> {
    // A model has no loop.
    if cfg!(kumihimo_loom) { None } else { Reactor::current().map(|reactor| reactor.hold_clock()) }
}
