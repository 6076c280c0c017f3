//! What an idle worker waits in, and where time and readiness come from.
//!
//! The executor knows no clock and no descriptor. It is given a [`Driver`], and promises that one worker at a time, the
//! holder of the *baton*, is in [`Driver::turn`].

use std::any::Any;
use std::time::Duration;

/// Time and readiness, as the workers see them.
pub trait Driver: Send + Sync {
    /// The calling thread is now this worker, until the guard is dropped.
    fn enter(&self, worker: usize) -> Box<dyn Any>;

    /// Wakes the tasks whose events have come or whose time is up. Called by the holder of the baton.
    fn turn(&self, turn: Turn);

    /// Makes a `turn` that waits return. Called from any thread, also when nobody waits.
    fn interrupt(&self);

    /// Wakes the tasks of this worker whose time is up. Called by that worker, without the baton.
    fn fire_due(&self, worker: usize);

    /// The worker goes to sleep without the baton: its timers are the holder's business now.
    fn before_park(&self, worker: usize);

    /// In a model: whether there is a timer.
    #[cfg(kumihimo_loom)]
    #[doc(hidden)]
    fn has_timers(&self) -> bool {
        false
    }

    /// In a model: lets time pass to the next deadline, and wakes whose time has come. Called by this worker; others may do
    /// the same.
    #[cfg(kumihimo_loom)]
    #[doc(hidden)]
    fn advance(&self, _worker: usize) {}
}

/// How long a turn may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Only look.
    Poll,
    /// Wait for an event, a timer, or an interrupt.
    Wait {
        /// All workers are idle: a paused clock may advance by itself.
        alone: bool,
        /// Come back after this long in any case.
        limit: Option<Duration>,
    },
}

#[cfg(not(kumihimo_loom))]
pub use park::ParkDriver;

#[cfg(not(kumihimo_loom))]
mod park {
    use std::any::Any;
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    use super::{Driver, Turn};

    /// A driver without time or readiness: for programs that only compute, and for tests.
    #[derive(Debug, Default)]
    pub struct ParkDriver {
        /// An interrupt came since the last turn.
        interrupted: Mutex<bool>,
        /// Told of interrupts.
        bell: Condvar,
    }

    impl Driver for ParkDriver {
        fn enter(&self, _worker: usize) -> Box<dyn Any> {
            Box::new(())
        }

        fn turn(&self, turn: Turn) {
            let Turn::Wait { limit, .. } = turn else { return };
            let limit = limit.unwrap_or(Duration::MAX);
            let lock = self.interrupted.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut lock, _) = self
                .bell
                .wait_timeout_while(lock, limit, |interrupted| !*interrupted)
                .unwrap_or_else(PoisonError::into_inner);
            *lock = false;
        }

        fn interrupt(&self) {
            *self.interrupted.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.bell.notify_one();
        }

        fn fire_due(&self, _worker: usize) {}

        fn before_park(&self, _worker: usize) {}
    }
}
