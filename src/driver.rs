//! The joint between executor and reactor: the only place that knows both.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use kumihimo_blocking_pool::{self as blocking, DefaultExecutor};
use kumihimo_executor::{Driver, Turn};
use kumihimo_reactor::{self as reactor, Reactor};

use crate::ctrl_c::CtrlC;

/// Time, readiness, Ctrl-C and the default executor, as the workers see them.
pub(crate) struct LoopDriver {
    pub(crate) reactor: Reactor,
    pub(crate) default_executor: Arc<DefaultExecutor>,
    pub(crate) ctrl_c: Arc<CtrlC>,
    /// asyncio's debug mode.
    pub(crate) debug: bool,
}

thread_local! {
    /// Whether the loop that runs on this thread is in debug mode.
    static DEBUG: Cell<bool> = const { Cell::new(false) };
}

/// Whether the loop that runs on this thread is in debug mode.
pub(crate) fn is_debug() -> bool {
    DEBUG.get()
}

/// Puts the debug mode of before back.
struct RestoreDebug(bool);

impl Drop for RestoreDebug {
    fn drop(&mut self) {
        DEBUG.set(self.0);
    }
}

impl Driver for LoopDriver {
    fn enter(&self, worker: usize) -> Box<dyn Any> {
        let debug = RestoreDebug(DEBUG.replace(self.debug));
        Box::new((self.reactor.enter(worker), blocking::enter(&self.default_executor), debug))
    }

    fn turn(&self, turn: Turn) {
        self.reactor.turn(match turn {
            Turn::Poll => reactor::Turn::Poll,
            Turn::Wait { limit: Some(limit), .. } => reactor::Turn::WaitAtMost(limit),
            Turn::Wait { alone: true, limit: None } => reactor::Turn::WaitAlone,
            Turn::Wait { alone: false, limit: None } => reactor::Turn::Wait,
        });
        self.ctrl_c.deliver();
    }

    fn interrupt(&self) {
        self.reactor.interrupt();
    }

    fn fire_due(&self, worker: usize) {
        self.reactor.fire_due(worker);
    }

    fn before_park(&self, worker: usize) {
        self.reactor.before_park(worker);
    }

    #[cfg(kumihimo_loom)]
    fn has_timers(&self) -> bool {
        self.reactor.has_timers()
    }

    #[cfg(kumihimo_loom)]
    fn advance(&self, worker: usize) {
        self.reactor.advance_to_next(worker);
    }
}
