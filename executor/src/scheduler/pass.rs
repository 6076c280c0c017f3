//! The flavour with one thread: asyncio's passes.

use super::local::Local;
use crate::clock;
use crate::driver::Turn;
use crate::sleep::Rest;
use crate::task::harness::After;

/// Passes look at descriptors at most this often while there are tasks to run; asyncio does so at each.
const TURN_PERIOD: std::time::Duration = std::time::Duration::from_micros(20);

impl Local {
    /// Runs passes until `stop` says so. A pass polls readiness, lets timers that are due line up behind, in order of
    /// their deadlines, and runs exactly what is ready then.
    pub(crate) fn run_passes(&self, stop: impl Fn() -> bool) {
        while !stop() {
            self.gather_ready(&stop);
            let ready = self.pinned.borrow().len();
            for _ in 0..ready {
                let task = self.pinned.borrow_mut().pop_front();
                // Fewer than counted only if a task ran another loop's close in between.
                let Some(task) = task else { break };
                if self.run(task) == After::Schedule {
                    self.push_back(task);
                }
                if stop() {
                    return;
                }
            }
        }
    }

    /// Lines up what is ready, and waits for something if nothing is.
    fn gather_ready(&self, stop: &impl Fn() -> bool) {
        self.empty_inbox();
        if self.pinned.borrow().is_empty() {
            return self.wait_ready(stop);
        }
        let now = clock::now();
        if now.duration_since(self.turned.get()) < TURN_PERIOD {
            return self.dispatch(|| self.shared.driver.fire_due(self.index));
        }
        self.turned.set(now);
        if self.shared.sleep.try_take_baton(self.index) {
            self.dispatch(|| self.shared.driver.turn(Turn::Poll));
            self.shared.sleep.release_baton(self.index);
        }
    }

    fn wait_ready(&self, stop: &impl Fn() -> bool) {
        let sleep = &self.shared.sleep;
        let mut rest = sleep.announce(self.index, false);
        // There is nobody else who could mind.
        sleep.settle();
        while self.remote().inbox.is_empty() && self.pinned.borrow().is_empty() && !stop() {
            let Rest::Poller { alone, .. } = rest else { break };
            self.dispatch(|| self.shared.driver.turn(Turn::Wait { alone, limit: None }));
            rest = sleep.look_up(self.index);
        }
        if sleep.withdraw(self.index) {
            // Claimed: nobody else is there to be told that the search is over.
            let _last = sleep.end_search();
        }
        self.turned.set(clock::now());
        self.empty_inbox();
    }
}
