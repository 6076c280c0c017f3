//! Users' models: time passes whenever somebody lets it.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::reactor::Reactor;
use crate::timers::NEVER;

/// Told of each timer that is set.
static TIMER_IS_SET: OnceLock<fn()> = OnceLock::new();

thread_local! {
    /// Timers that were set, and may not all have fired. Also a look at a wheel is something that loom explores.
    static SET: Cell<usize> = const { Cell::new(0) };
}

/// From now on, `told` is called for each timer that is set.
pub fn on_timer(told: fn()) {
    TIMER_IS_SET.get_or_init(|| told);
}

/// An execution begins.
pub fn rewind() {
    SET.set(0);
}

pub(crate) fn timer_is_set() {
    SET.set(SET.get() + 1);
    if let Some(told) = TIMER_IS_SET.get() {
        told();
    }
}

impl Reactor {
    /// Whether there is a timer.
    #[doc(hidden)]
    pub fn has_timers(&self) -> bool {
        let set = SET.get();
        if set == 0 {
            return false;
        }
        let some = self.shared().timers.earliest() != NEVER;
        if !some && SET.get() == set {
            SET.set(0);
        }
        some
    }

    /// Lets a paused clock go on to the next deadline, and wakes whose time has come. Called by this worker; others may do the
    /// same.
    #[doc(hidden)]
    pub fn advance_to_next(&self, worker: usize) {
        let shared = self.shared();
        let deadline = shared.timers.earliest();
        if deadline != NEVER && shared.clock.advance_to(deadline) {
            shared.timers.fire_all(worker, shared.clock.now().as_nanos());
        }
    }
}
