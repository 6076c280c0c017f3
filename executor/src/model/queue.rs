//! What is ready, in a model: one list for all workers.

use std::cell::Cell;
use std::collections::VecDeque;

use kumihimo_context::model::{Atomic, atomic};

use super::{foreign, strike, tape, trace, verdict};
use crate::scheduler::Local;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::task::harness::{self, After};
use crate::task::header::TaskRef;

/// What is ready.
pub(crate) struct Queue {
    ready: Mutex<Ready>,
    /// By worker: told when something is ready for it, or it is to look whether it has to stop.
    bells: Box<[Condvar]>,
}

struct Ready {
    /// Tasks, in the order in which they became ready.
    tasks: VecDeque<TaskRef>,
    /// Polls for nothing that may still be made.
    spurious: usize,
    /// By worker: whether it looks for something to do, or does it.
    inside: Box<[bool]>,
    /// By worker: whether it waits, and nobody has told it of anything.
    idle: Box<[bool]>,
}

/// A worker is at work, until this is dropped.
struct Inside<'a>(&'a Queue, usize);

impl<'a> Inside<'a> {
    fn enter(queue: &'a Queue, worker: usize) -> Inside<'a> {
        queue.lock().inside[worker] = true;
        Inside(queue, worker)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.lock().inside[self.1] = false;
    }
}

/// What a worker does next.
enum Next {
    Poll(TaskRef),
    /// Lets time pass to the next deadline.
    Time,
    /// Polls a task for nothing; in this step, as it may end and be gone in the next.
    Spurious(TaskRef, Atomic),
}

thread_local! {
    static SPURIOUS: Cell<usize> = const { Cell::new(0) };
}

/// From now on, runtimes poll tasks for nothing so often.
pub fn set_spurious(polls: usize) {
    SPURIOUS.set(polls);
}

impl Queue {
    pub(crate) fn new(workers: usize) -> Queue {
        let none = || vec![false; workers].into_boxed_slice();
        let ready = Ready { tasks: VecDeque::new(), spurious: SPURIOUS.get(), inside: none(), idle: none() };
        Queue { ready: Mutex::new(ready), bells: (0..workers).map(|_| Condvar::new()).collect() }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock()
    }

    /// Readies a task, from any thread.
    pub(crate) fn push(&self, task: TaskRef) {
        let _atomic = atomic();
        trace::readied(task);
        // It may be gone once it is in there.
        let home = task.header().state.is_pinned().then_some(task.header().place.shard as usize);
        let mut ready = self.lock();
        ready.tasks.push_back(task);
        let idle = home.map_or_else(
            || ready.idle.iter().position(|idle| *idle),
            |home| ready.idle[home].then_some(home),
        );
        if let Some(worker) = idle {
            self.tell(&mut ready, worker);
        }
    }

    /// Has all workers look whether they must stop, and for timers.
    pub(crate) fn rouse(&self) {
        let mut ready = self.lock();
        (0..self.bells.len()).for_each(|worker| self.tell(&mut ready, worker));
    }

    fn tell(&self, ready: &mut Ready, worker: usize) {
        if std::mem::take(&mut ready.idle[worker]) {
            self.bells[worker].notify_one();
        }
    }

    /// What the worker does next; `None` once it must stop.
    fn next(&self, local: &Local, stop: &impl Fn() -> bool) -> Option<Next> {
        let mut ready = self.lock();
        loop {
            if verdict::is_failed() || stop() {
                return None;
            }
            let mine = |task: &TaskRef| {
                !task.header().state.is_pinned() || task.header().place.shard as usize == local.index
            };
            let tasks: Vec<usize> =
                ready.tasks.iter().enumerate().filter(|(_, task)| mine(task)).map(|(at, _)| at).collect();
            let timers = usize::from(local.shared.driver.has_timers());
            let idle = if ready.spurious > 0 { trace::suspended_tasks() } else { Vec::new() };
            if tasks.len() + timers > 0 {
                let choice = tape::choose(tasks.len() + timers + idle.len());
                if let Some(at) = tasks.get(choice) {
                    return Some(Next::Poll(ready.tasks.remove(*at).expect("it is there")));
                }
                if choice < tasks.len() + timers {
                    return Some(Next::Time);
                }
                ready.spurious -= 1;
                return Some(Next::Spurious(idle[choice - tasks.len() - timers], atomic()));
            }
            ready.idle[local.index] = true;
            // Without worker 0, the main task has ended.
            let stuck = ready.inside[0] && ready.inside == ready.idle;
            if stuck && ready.tasks.is_empty() && !foreign::is_there() {
                verdict::fail(format!("deadlock, and no timer that could end it: {}", trace::waits()));
                (0..self.bells.len()).for_each(|worker| self.tell(&mut ready, worker));
                return None;
            }
            while ready.idle[local.index] {
                ready = self.bells[local.index].wait(ready);
            }
        }
    }
}

impl Local {
    /// A model's worker: runs whatever is ready until `stop` says so.
    pub(crate) fn work_in_model(&self, queue: &Queue, stop: impl Fn() -> bool) {
        let _inside = Inside::enter(queue, self.index);
        while let Some(next) = queue.next(self, &stop) {
            // But for the poll itself.
            let _atomic = atomic();
            match next {
                Next::Poll(task) => self.poll_in_model(queue, task),
                Next::Time => {
                    trace::time();
                    self.dispatch(|| self.shared.driver.advance(self.index));
                }
                Next::Spurious(task, _step) => {
                    trace::spurious(task);
                    task.wake_by_ref();
                }
            }
        }
    }

    fn poll_in_model(&self, queue: &Queue, task: TaskRef) {
        trace::polled(self.index, task);
        if strike::is_doomed(task) {
            let _start = task.header().state.start();
            return harness::abandon(task);
        }
        let watched = strike::watch(task);
        if self.run(task) == After::Schedule {
            queue.push(task);
        }
        if let Some(task) = watched {
            strike::suspended(&task);
        }
        if verdict::is_failed() {
            queue.rouse();
        }
    }
}
