//! Whether the workers run, pause between two `run`s, or stop for good.

use std::task::Waker;

use crate::sync::atomic::{AtomicU8, Ordering::*};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Wait: no `run` is in progress.
    Paused = 0,
    /// Run tasks.
    Running = 1,
    /// Drop what is left, and end.
    Stopping = 2,
}

/// The phase, and how many workers are past the gate.
pub(crate) struct Gate {
    /// The phase, for a look without the lock.
    phase: AtomicU8,
    state: Mutex<State>,
    /// Told of every change.
    changed: Condvar,
}

struct State {
    phase: Phase,
    /// Workers that run.
    inside: usize,
    /// Who is woken when the workers run no more.
    watchers: Vec<Waker>,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        let state = State { phase: Phase::Paused, inside: 0, watchers: Vec::new() };
        Gate { phase: AtomicU8::new(Phase::Paused as u8), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Whether the workers are to run.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        // Relaxed: who sees it late is woken, and looks again.
        self.phase.load(Relaxed) == Phase::Running as u8
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Stopping as u8
    }

    /// A worker waits until it may run (true), or must stop.
    pub(crate) fn pass(&self) -> bool {
        let mut state = self.lock();
        while state.phase == Phase::Paused {
            state = self.changed.wait(state);
        }
        if state.phase == Phase::Running {
            state.inside += 1;
        }
        state.phase == Phase::Running
    }

    /// A worker that ran comes back to the gate.
    pub(crate) fn leave(&self) {
        self.lock().inside -= 1;
        self.changed.notify_all();
    }

    pub(crate) fn set(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = phase;
        self.phase.store(phase as u8, Relaxed);
        let watchers = match phase {
            Phase::Running => Vec::new(),
            Phase::Paused | Phase::Stopping => std::mem::take(&mut state.watchers),
        };
        drop(state);
        self.changed.notify_all();
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Has `waker` woken when the workers run no more; false if they don't now.
    pub(crate) fn watch(&self, waker: Waker) -> bool {
        let mut state = self.lock();
        let is_running = state.phase == Phase::Running;
        if is_running {
            state.watchers.push(waker);
        }
        is_running
    }

    /// Waits until no worker runs.
    pub(crate) fn wait_outside(&self) {
        let mut state = self.lock();
        while state.inside > 0 {
            state = self.changed.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
