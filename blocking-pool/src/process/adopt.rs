//! A pool outlives the loop that it was used in.
//!
//! Its sockets are polled by one loop at a time, its *home*: the first that submitted. Calls from other loops and threads
//! work as long as it runs. When it has ended or stands still, the loop of whoever next submits, awaits a call or awaits the
//! shutdown becomes the home, and gets the workers, calls under way included.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use kumihimo_executor::{Scheduler, WeakScheduler};

use super::driver::Driver;
use super::roster::Roster;
use super::state::State;
use super::worker::Worker;

/// Woken when the home stands still.
struct Standstill(Weak<Roster>);

impl Wake for Standstill {
    fn wake(self: Arc<Self>) {
        if let Some(roster) = self.0.upgrade() {
            roster.lock().is_watched = false;
            roster.nudge_all();
        }
    }
}

impl Roster {
    /// Makes the loop of this thread the pool's home, if the pool has none that runs. If another one's runs, whoever awaits
    /// something of the pool is told when it does not any more.
    pub(super) fn look_after(self: &Arc<Self>) {
        let Some(here) = Scheduler::try_current() else { return };
        let mut state = self.lock();
        if let Some(home) = state.running_home()
            && (home == here || state.is_watched || self.watch(&mut state, &home))
        {
            return;
        }
        state.home = Some(here.downgrade());
        let workers = state.workers.clone();
        workers.iter().for_each(|worker| state.wakes_no_more(worker));
        drop(state);
        for worker in workers {
            let mut line = worker.line();
            line.loosen();
            let epoch = line.epoch;
            drop(line);
            here.spawn_hidden(Driver::new(Arc::clone(self), worker, epoch));
        }
    }

    /// Watches the home; false if it does not run any more.
    fn watch(self: &Arc<Self>, state: &mut State, home: &Scheduler) -> bool {
        let standstill = Arc::new(Standstill(Arc::downgrade(self)));
        state.is_watched = home.wake_at_standstill(Waker::from(standstill));
        state.is_watched
    }

    /// Has whoever awaits something of the pool look again.
    fn nudge_all(&self) {
        self.open_calls().iter().for_each(|call| call.nudge());
        self.wake_waiters();
    }

    /// A driver was dropped with its loop.
    #[cold]
    pub(super) fn set_adrift(self: &Arc<Self>, worker: &Arc<Worker>, epoch: u64) {
        let mut line = worker.line();
        if line.epoch != epoch {
            return;
        }
        line.loosen();
        drop(line);
        let mut state = self.lock();
        state.wakes_no_more(worker);
        if !state.is_at_home() {
            state.home = None;
        }
        let is_open = state.is_open();
        drop(state);
        if !is_open {
            self.retire(worker);
        }
        // Whoever awaits something elsewhere takes over.
        self.nudge_all();
    }
}

impl State {
    /// The home, if it runs.
    pub(super) fn running_home(&self) -> Option<Scheduler> {
        let home = self.home.as_ref().and_then(WeakScheduler::upgrade);
        home.filter(|home| home.is_running() && !home.is_closed())
    }

    /// Whether the home runs.
    pub(super) fn is_at_home(&self) -> bool {
        self.running_home().is_some()
    }

    /// Whether there is a home that runs, or may run again.
    pub(super) fn has_home(&self) -> bool {
        let home = self.home.as_ref().and_then(WeakScheduler::upgrade);
        home.is_some_and(|home| !home.is_closed())
    }
}
