//! Finding work, on several workers.

use std::time::Duration;

use super::local::Local;
use crate::clock;
use crate::driver::Turn;
use crate::sleep::{Rest, WATCH};
use crate::sync::deque::Steal;
use crate::task::harness::After;
use crate::task::header::TaskRef;

/// Tasks taken from the LIFO slot in a row, before the queue has a turn: two tasks that keep waking each other starve
/// nobody.
const LIFO_LIMIT: u32 = 16;

/// Between two looks at time, readiness and the injector lie about this long and at most `LOOK_LIMIT` polls. Reading the
/// clock costs half as much as a short poll, so not after each; but after each long one.
const LOOK_PERIOD: Duration = Duration::from_micros(20);
const LOOK_LIMIT: u32 = 32;

/// Looks after each poll that follow a long one. They cost 1 % of the shortest poll that counts as long.
const WARY_LOOKS: u32 = 64;

/// A busy worker looks at the poller this often, if nobody else does: one system call costs less than 1 % of that time.
const TURN_PERIOD: Duration = Duration::from_micros(100);

/// Batches (of up to 32) that a look takes from the injector: one alone is run in less time than lies between two looks,
/// and tasks from outside would wait for the busy ones.
const INJECTOR_BATCHES: usize = 4;

/// A new task is left to a worker that stands still for so many watches: 100 ms.
const NEW_PATIENCE: u32 = 20;

/// Rounds over all other workers before a search that met contention gives up.
const STEAL_ROUNDS: usize = 4;

impl Local {
    /// Runs tasks until `stop` says so.
    pub(crate) fn work(&self, stop: impl Fn() -> bool) {
        #[cfg(kumihimo_loom)]
        if let Some(model) = self.shared.model() {
            return self.work_in_model(model, stop);
        }
        while !stop() {
            match self.find_work() {
                Some(task) => {
                    if self.searching.get() {
                        self.found_work();
                    }
                    let after = self.run(task);
                    // What became ready during a long poll goes before the task that gave way after it.
                    if self.is_time_to_look() {
                        self.look();
                    }
                    if after == After::Schedule {
                        self.push_back(task);
                    }
                }
                None => self.sleep(&stop),
            }
        }
        self.leave_work();
    }

    /// The worker stops: what it has, or was woken for, is for the others, who may go on.
    fn leave_work(&self) {
        if let Some(task) = self.remote().lifo.take() {
            self.queue.push(task);
        }
        self.queue.join();
        self.stop_searching();
        if self.is_work_left() {
            self.shared.sleep.notify(|| self.shared.driver.interrupt());
        }
    }

    /// The next task, in the order in which work is looked for:
    ///
    /// 1. the LIFO slot, a bounded number of times in a row;
    /// 2. the worker's own queues, pinned tasks and others in turn;
    /// 3. the inbox and the injector;
    /// 4. the other workers' queues, from a random one on.
    ///
    /// Every few polls the worker [looks](Self::look) at timers, readiness and the injector first, so that a busy one does
    /// not starve them; and one that finds nothing waits for them.
    #[inline]
    fn find_work(&self) -> Option<TaskRef> {
        if let Some(task) = self.next_own() {
            return Some(task);
        }
        self.empty_inbox();
        if let Some(task) = self.pinned.borrow_mut().pop_front() {
            return Some(task);
        }
        self.search()
    }

    #[inline]
    fn next_own(&self) -> Option<TaskRef> {
        self.queue.count_poll();
        if self.lifo_left.get() > 0 {
            if let Some(task) = self.remote().lifo.take() {
                self.lifo_left.set(self.lifo_left.get() - 1);
                return Some(task);
            }
        } else if let Some(task) = self.remote().lifo.take() {
            self.queue.push(task);
        }
        self.lifo_left.set(LIFO_LIMIT);
        // In turn, whatever ran in between: a program with a rhythm of its own must not find the same queue first each time.
        let pinned_first = !self.pinned_first.replace(!self.pinned_first.get());
        let pinned = || self.pinned.borrow_mut().pop_front();
        // With something else to run here first, somebody idle may as well take a part of those who gave way.
        let queued = || self.queue.pop(|| self.shared.sleep.notify(|| self.shared.driver.interrupt()));
        if pinned_first { pinned().or_else(queued) } else { queued().or_else(pinned) }
    }

    #[inline]
    fn is_time_to_look(&self) -> bool {
        let left = self.until_look.get() - 1;
        self.until_look.set(left);
        left == 0
    }

    /// Lets what depends on time line up: timers that are due, readiness, and tasks from the injector.
    #[cold]
    fn look(&self) {
        let now = clock::now();
        let elapsed = now.duration_since(self.looked.replace(now));
        self.until_look.set(self.next_look(elapsed));
        if elapsed > LOOK_PERIOD * 8 {
            self.queue.hurry();
        }
        self.empty_inbox();
        if now.duration_since(self.watched.get()) >= WATCH {
            // The watcher may never come to it: whoever is woken for something all the time watches nobody.
            self.watched.set(now);
            self.rescue();
        }
        if now.duration_since(self.turned.get()) >= TURN_PERIOD
            && self.shared.sleep.try_take_baton(self.index)
        {
            self.turned.set(now);
            self.dispatch(|| self.shared.driver.turn(Turn::Poll));
            self.shared.sleep.release_baton(self.index);
        } else {
            self.dispatch(|| self.shared.driver.fire_due(self.index));
        }
        // One task readied behind a long poll of a pinned one wakes nobody; then somebody must look after it.
        self.shared.sleep.ensure_watch(|| self.shared.driver.interrupt());
        for _ in 0..INJECTOR_BATCHES {
            if self.shared.injector.is_empty() {
                break;
            }
            let _contended = self.shared.injector.steal_batch(self.queue.running());
        }
    }

    /// Polls until the next look, after a period of this length: half as many if it was too long, twice as many if it was
    /// short. Where there was a really long poll, others are likely: then it looks after each, for a while.
    fn next_look(&self, elapsed: Duration) -> u32 {
        let wary = match elapsed > LOOK_PERIOD * 8 {
            true => WARY_LOOKS,
            false => self.wary.get().saturating_sub(1),
        };
        self.wary.set(wary);
        let every = match self.look_every.get() {
            _ if wary > 0 => 1,
            every if elapsed > LOOK_PERIOD => (every / 2).max(1),
            every => (every * 2).min(LOOK_LIMIT),
        };
        self.look_every.set(every);
        every
    }

    /// Looks at the injector and at the other workers' queues.
    fn search(&self) -> Option<TaskRef> {
        if !self.searching.get() {
            self.searching.set(self.shared.sleep.begin_search(self.shared.workers.len()));
            if !self.searching.get() {
                return None;
            }
        }
        let workers = &self.shared.workers;
        for _ in 0..STEAL_ROUNDS {
            let mut contended = false;
            if !self.shared.injector.is_empty() {
                match self.shared.injector.steal_batch_and_pop(self.queue.running()) {
                    Steal::Success(task) => return Some(task),
                    Steal::Retry => contended = true,
                    Steal::Empty => {}
                }
            }
            let from = self.random.borrow_mut().usize(..workers.len());
            for victim in (from..workers.len()).chain(0..from).filter(|victim| *victim != self.index) {
                if workers[victim].stealer.is_empty() {
                    continue;
                }
                match workers[victim].stealer.steal_batch_and_pop(&self.queue) {
                    Steal::Success(task) => return Some(task),
                    Steal::Retry => contended = true,
                    Steal::Empty => {}
                }
            }
            if !contended {
                break;
            }
        }
        None
    }

    /// A worker that counts as searching has found something, wherever. Who searched last passes the word on: pushes that
    /// came meanwhile relied on it.
    fn found_work(&self) {
        if self.stop_searching() && self.is_work_left() {
            // `end_search` brought the fence.
            self.shared.sleep.hint(|| self.shared.driver.interrupt());
        }
    }

    /// True if this worker was the last to search.
    fn stop_searching(&self) -> bool {
        self.searching.replace(false) && self.shared.sleep.end_search()
    }

    /// Whether there is work in sight that this worker could take.
    fn is_work_left(&self) -> bool {
        !self.shared.injector.is_empty()
            || !self.remote().inbox.is_empty()
            || self.shared.workers.iter().any(|worker| !worker.stealer.is_empty())
    }

    fn has_own_work(&self) -> bool {
        !self.queue.is_empty() || !self.pinned.borrow().is_empty() || self.remote().lifo.is_full()
    }

    /// Looks around for a moment before sleeping, where that has been worth it lately. True if there is work.
    ///
    /// Meanwhile the worker counts as searching, so that a push makes no system call. Only sleeps that a push cut short
    /// count as short: a worker that waits for timers and readiness does not spin.
    fn spin(&self, stop: &impl Fn() -> bool) -> bool {
        self.searching.get() && self.spin.borrow_mut().until(|| self.is_work_left() || stop())
    }

    /// Sleeps until there is something to do.
    #[cold]
    fn sleep(&self, stop: &impl Fn() -> bool) {
        if self.spin(stop) {
            return;
        }
        let began = clock::now();
        let sleep = &self.shared.sleep;
        let mut rest = sleep.announce(self.index, self.searching.replace(false));
        // The last look, after the announcement. `stop` is part of it: who stops us wakes those who are announced.
        let mut settled = !self.has_own_work() && !self.is_work_left() && !stop();
        if settled {
            sleep.settle();
            self.shared.driver.before_park(self.index);
            if self.shared.workers.iter().any(|worker| worker.lifo.is_full() || worker.stealer.has_put_off())
            {
                // Somebody runs who may not come back soon to what it has readied, or put off.
                sleep.ensure_watch(|| self.shared.driver.interrupt());
                rest = sleep.look_up(self.index);
            }
            loop {
                match rest {
                    Rest::Claimed => break,
                    Rest::Poller { alone, watch } => {
                        let limit = watch.then_some(WATCH);
                        self.dispatch(|| self.shared.driver.turn(Turn::Wait { alone, limit }));
                    }
                    Rest::Parker { watch } => sleep.parkers().park(watch.then_some(WATCH)),
                }
                if self.has_own_work() || self.is_work_left() || stop() {
                    break;
                }
                rest = sleep.look_up(self.index);
                if let Rest::Poller { watch: true, .. } | Rest::Parker { watch: true } = rest {
                    // It may take somebody's task while it counts as idle.
                    sleep.look_again();
                    let moved = self.watch();
                    if self.has_own_work() {
                        settled = false;
                        break;
                    }
                    sleep.settle();
                    self.shared.driver.before_park(self.index);
                    if moved {
                        rest = sleep.look_up(self.index);
                    }
                }
            }
        }
        let now = clock::now();
        let claimed = sleep.withdraw(self.index);
        if !settled {
            sleep.settle();
        }
        if claimed {
            self.searching.set(true);
            self.spin.borrow_mut().slept(now.duration_since(began));
        } else if self.is_work_left() {
            sleep.join_search();
            self.searching.set(true);
        }
        self.looked.set(now);
        self.turned.set(now);
    }

    /// Looks after workers that have not moved since the last time: takes the poller if it is unattended, and tasks out
    /// of LIFO slots. True if that changed where this worker stands.
    fn watch(&self) -> bool {
        self.rescue();
        let turns = self.shared.sleep.turns();
        turns == self.seen_turns.replace(turns) && self.shared.sleep.take_over(self.index)
    }

    /// Takes the tasks out of the LIFO slots of workers that have not moved since the last time. New ones are left for longer:
    /// their creator may only have lost its processor, and is likely to want to go first (to keep, name or cancel them).
    fn rescue(&self) {
        // What counts is time: a watcher that is interrupted looks more often.
        if !clock::has_passed(WATCH / 2, &self.rescued) {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        for (victim, seen) in self.shared.workers.iter().zip(seen.iter_mut()) {
            let polls = victim.polls();
            *seen = (polls, if polls == seen.0 { seen.1 + 1 } else { 0 });
            let patience = if victim.lifo.is_new() { NEW_PATIENCE } else { 1 };
            if seen.1 >= patience
                && let Some(task) = victim.lifo.take()
            {
                self.queue.push(task);
            }
            if seen.1 >= 1 {
                victim.stealer.rescue(&self.queue);
            }
        }
    }
}
