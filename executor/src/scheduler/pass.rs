//! The flavour with one thread: asyncio's passes.

use super::call::Ready;
use super::local::Local;
use crate::clock;
use crate::driver::Turn;
use crate::sleep::Rest;
use crate::sync::deque::Steal;
use crate::task::harness::After;
use crate::task::link::Noting;

/// Passes look at descriptors at most this often while there are tasks to run; asyncio does so at each.
const TURN_PERIOD: std::time::Duration = std::time::Duration::from_micros(20);

impl Local {
    /// Runs passes until `stop` says so. A pass polls readiness, lets timers that are due line up behind, in order of
    /// their deadlines, and runs exactly what is ready then. One pass more follows the one in which it was said, as in
    /// asyncio, where a callback of the main task stops the loop. After the pass in which `halt` is true there is none.
    pub(crate) fn run_passes(&self, stop: impl Fn() -> bool, halt: impl Fn() -> bool) {
        loop {
            let last = stop();
            self.gather_ready(&|| last || stop() || halt());
            let ready = self.ready.borrow().len();
            for _ in 0..ready {
                let next = self.ready.borrow_mut().pop_front();
                match next {
                    Some(Ready::Task(task)) => {
                        let _noting = Noting::begin();
                        if self.run(task) == After::Schedule {
                            self.push_back(task);
                        }
                    }
                    Some(Ready::Call(call)) => call.run(&self.shared.exceptions),
                    // Fewer than counted only if a task ran another loop's close in between.
                    None => break,
                }
            }
            if last || halt() {
                return;
            }
        }
    }

    /// Lines up what is ready, and waits for something if nothing is.
    fn gather_ready(&self, stop: &impl Fn() -> bool) {
        self.empty_outside();
        if self.ready.borrow().is_empty() {
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
        while self.shared.outside.is_empty() && self.ready.borrow().is_empty() && !stop() {
            let Rest::Poller { alone, .. } = rest else { break };
            self.dispatch(|| self.shared.driver.turn(Turn::Wait { alone, limit: None }));
            rest = sleep.look_up(self.index);
        }
        if sleep.withdraw(self.index) {
            // Claimed: nobody else is there to be told that the search is over.
            let _last = sleep.end_search();
        }
        self.turned.set(clock::now());
        self.empty_outside();
    }

    /// Takes what other threads have readied.
    pub(crate) fn empty_outside(&self) {
        let outside = &self.shared.outside;
        while !outside.is_empty() {
            if let Steal::Success(ready) = outside.steal() {
                self.ready.borrow_mut().push_back(ready);
            }
        }
    }
}
