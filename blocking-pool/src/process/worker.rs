//! A worker as its pool sees it: a process, the line to it, and the calls that it has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use rustix::process::Signal;

use super::call::{Call, Frame};
use super::child_process::ChildProcess;
use super::claims::Claims;
use super::line::Line;
use super::wire;
use crate::hand::Hand;

/// One process of a pool.
pub(super) struct Worker {
    pub(super) pid: u32,
    /// `None` once somebody is ending it.
    process: Mutex<Option<ChildProcess>>,
    /// Locked while its driver polls, and to take it away from one. Never locked by who holds the roster's lock.
    line: Mutex<Line>,
    /// Locked by whoever moves calls, also under the roster's lock; never for long.
    load: Mutex<Load>,
    /// Which of its calls have begun. Without, all that it was sent count as begun.
    claims: Option<Claims>,
}

/// A call, and what is sent for it.
pub(super) struct Sent {
    pub(super) call: Arc<Call>,
    pub(super) frame: Frame,
}

/// The calls that it has.
struct Load {
    hand: Hand<Sent>,
    /// The bytes of their frames.
    bytes: usize,
    /// Wakes the driver.
    waker: Option<Waker>,
}

impl Load {
    /// So many bytes less, those of these calls.
    fn without(&mut self, calls: Vec<Sent>) -> Vec<Sent> {
        self.bytes -= calls.iter().map(|sent| sent.frame.len()).sum::<usize>();
        calls
    }
}

impl Worker {
    pub(super) fn new(process: ChildProcess, line: Line, claims: Option<Claims>) -> Worker {
        Worker {
            pid: process.id(),
            process: Mutex::new(Some(process)),
            line: Mutex::new(line),
            load: Mutex::new(Load { hand: Hand::new(), bytes: 0, waker: None }),
            claims,
        }
    }

    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        // What runs under the lock leaves the line whole, or the worker is given up.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether calls that were sent to it can be had back.
    pub(super) fn gives_back(&self) -> bool {
        self.claims.is_some()
    }

    /// Adds a call to those that it has, and gives what is to be sent.
    pub(super) fn give(&self, call: Arc<Call>, mut frame: Frame) -> Frame {
        let mut load = self.load();
        // Copied, if it is still being sent to a worker that has to give it back.
        wire::set_turn(Arc::<Vec<u8>>::make_mut(&mut frame), load.hand.turn());
        load.bytes += frame.len();
        load.hand.push(Sent { call, frame: Arc::clone(&frame) });
        frame
    }

    /// An answer has come: takes the call, if that is the one that must be answered next.
    pub(super) fn answered(&self, id: u64) -> Option<Arc<Call>> {
        let mut load = self.load();
        let sent = load.hand.answered(|sent| sent.call.number == wire::number(id))?;
        load.bytes -= sent.frame.len();
        Some(sent.call)
    }

    /// How many calls it has, and the bytes of their frames.
    pub(super) fn burden(&self) -> (usize, usize) {
        let load = self.load();
        (load.hand.len(), load.bytes)
    }

    /// How to wake its driver.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut load = self.load();
        if !load.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            load.waker = Some(waker.clone());
        }
    }

    /// Takes back the calls that have not begun, and now won't. Who is left without any has to be woken, as no answer
    /// will do so.
    pub(super) fn recall(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let Some(claims) = &self.claims else { return Vec::new() };
        let mut load = self.load();
        let calls = load.hand.recall(claims);
        if !calls.is_empty() && load.hand.len() == 0 {
            wakers.extend(load.waker.take());
        }
        load.without(calls)
    }

    /// The same, if it has answered nothing since somebody last asked.
    pub(super) fn recall_if_stuck(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let is_stuck = self.load().hand.is_stuck();
        if is_stuck { self.recall(wakers) } else { Vec::new() }
    }

    /// The same, if it has begun one that it keeps. Else its first is on its way, and would be sent to and fro.
    pub(super) fn recall_if_busy(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let is_busy = self.has_begun_any();
        if is_busy { self.recall(wakers) } else { Vec::new() }
    }

    /// The same, if it has several.
    pub(super) fn recall_if_many(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let has_many = self.load().hand.len() > 1;
        if has_many { self.recall(wakers) } else { Vec::new() }
    }

    /// Whether it has several calls, of which none has begun yet.
    pub(super) fn is_about_to_begin(&self) -> bool {
        self.load().hand.len() > 1 && !self.has_begun_any()
    }

    fn has_begun_any(&self) -> bool {
        let load = self.load();
        self.claims.as_ref().is_some_and(|claims| load.hand.begun(claims) > 0)
    }

    /// The turn in which calls are sent now.
    pub(super) fn turn(&self) -> u32 {
        self.load().hand.turn()
    }

    /// Whether a call that it has has begun.
    pub(super) fn has_begun(&self, call: &Call) -> bool {
        let Load { hand, .. } = &*self.load();
        let begun = self.claims.as_ref().map_or(hand.len(), |claims| hand.begun(claims));
        hand.iter().take(begun).any(|sent| sent.call.number == call.number)
    }

    /// Takes all its calls: those that have begun, and those that have not, and now won't.
    pub(super) fn strip(&self) -> (Vec<Arc<Call>>, Vec<Sent>) {
        let rest = self.recall(&mut Vec::new());
        let begun = self.load().hand.take();
        (begun.into_iter().map(|sent| sent.call).collect(), rest)
    }

    /// The calls that it has.
    pub(super) fn calls(&self) -> Vec<Arc<Call>> {
        self.load().hand.iter().map(|sent| Arc::clone(&sent.call)).collect()
    }

    /// Sends a signal, unless somebody is ending the process already.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &*self.process() {
            // It may have ended by itself meanwhile, which is what the signal is for.
            let _ = process.signal(signal);
        }
    }

    /// For who ends the process.
    pub(super) fn take_process(&self) -> Option<ChildProcess> {
        self.process().take()
    }

    fn process(&self) -> MutexGuard<'_, Option<ChildProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        // No foreign code runs under the lock.
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
