//! A worker as its pool sees it: a process, the line to it, and the calls that it has.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use rustix::process::Signal;

use super::call::{Call, Frame};
use super::child_process::ChildProcess;
use super::claims::Claims;
use super::line::Line;
use super::wire;

/// One process of a pool.
pub(super) struct Worker {
    pub(super) pid: u32,
    /// `None` once somebody is ending it.
    process: Mutex<Option<ChildProcess>>,
    /// Locked while its driver polls, and to take it away from one. Never locked by who holds the roster's lock.
    line: Mutex<Line>,
    /// Locked by whoever moves calls, also under the roster's lock; never for long.
    hand: Mutex<Hand>,
    /// Which of its calls have begun. Without, all that it was sent count as begun.
    claims: Option<Claims>,
}

/// A call, and what is sent for it.
pub(super) struct Sent {
    pub(super) call: Arc<Call>,
    pub(super) frame: Frame,
}

/// The calls that a worker was sent and has not answered, in that order.
#[derive(Default)]
struct Hand {
    calls: VecDeque<Sent>,
    /// The bytes of their frames.
    bytes: usize,
    /// The turn in which calls are sent now.
    turn: u32,
    /// The calls that were begun and answered since the start, modulo 2³².
    answered: u32,
    /// The same when somebody last looked whether it gets on.
    seen: u32,
    /// Wakes the driver.
    waker: Option<Waker>,
}

impl Hand {
    /// How many of the calls have begun, if so many have since the start.
    fn begun(&self, begun: u32) -> usize {
        (begun.wrapping_sub(self.answered) as usize).min(self.calls.len())
    }

    fn split_off(&mut self, at: usize) -> Vec<Sent> {
        let rest = self.calls.split_off(at);
        self.bytes -= rest.iter().map(|sent| sent.frame.len()).sum::<usize>();
        rest.into()
    }
}

impl Worker {
    pub(super) fn new(process: ChildProcess, line: Line, claims: Option<Claims>) -> Worker {
        Worker {
            pid: process.id(),
            process: Mutex::new(Some(process)),
            line: Mutex::new(line),
            hand: Mutex::new(Hand::default()),
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
        let mut hand = self.hand();
        // Copied, if it is still being sent to a worker that has to give it back.
        wire::set_turn(Arc::<Vec<u8>>::make_mut(&mut frame), hand.turn);
        hand.bytes += frame.len();
        hand.calls.push_back(Sent { call, frame: Arc::clone(&frame) });
        frame
    }

    /// An answer has come: takes the call, if that is the one that must be answered next.
    pub(super) fn answered(&self, id: u64) -> Option<Arc<Call>> {
        let mut hand = self.hand();
        let is_next = hand.calls.front().is_some_and(|sent| sent.call.number == wire::number(id));
        let sent = if is_next { hand.calls.pop_front() } else { None }?;
        hand.bytes -= sent.frame.len();
        hand.answered = hand.answered.wrapping_add(1);
        Some(sent.call)
    }

    /// How many calls it has, and the bytes of their frames.
    pub(super) fn load(&self) -> (usize, usize) {
        let hand = self.hand();
        (hand.calls.len(), hand.bytes)
    }

    /// How to wake its driver.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut hand = self.hand();
        if !hand.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            hand.waker = Some(waker.clone());
        }
    }

    /// Takes back the calls that have not begun, and now won't. Who is left without any has to be woken, as no answer will do so.
    pub(super) fn recall(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let Some(claims) = &self.claims else { return Vec::new() };
        let mut hand = self.hand();
        if hand.begun(claims.begun()) == hand.calls.len() {
            return Vec::new();
        }
        let claimed = claims.next_turn();
        hand.turn = claimed.turn;
        let begun = hand.begun(claimed.begun);
        let calls = hand.split_off(begun);
        if begun == 0 && !calls.is_empty() {
            wakers.extend(hand.waker.take());
        }
        calls
    }

    /// The same, if it has answered nothing since somebody last asked.
    pub(super) fn recall_if_stuck(&self, wakers: &mut Vec<Waker>) -> Vec<Sent> {
        let mut hand = self.hand();
        let is_stuck = hand.seen == hand.answered && hand.calls.len() > 1;
        hand.seen = hand.answered;
        drop(hand);
        if is_stuck { self.recall(wakers) } else { Vec::new() }
    }

    /// Whether a call that it has has begun.
    pub(super) fn has_begun(&self, call: &Call) -> bool {
        let hand = self.hand();
        let begun = self.claims.as_ref().map_or(hand.calls.len(), |claims| hand.begun(claims.begun()));
        hand.calls.iter().take(begun).any(|sent| sent.call.number == call.number)
    }

    /// Takes all its calls: those that have begun, and those that have not, and now won't.
    pub(super) fn strip(&self) -> (Vec<Arc<Call>>, Vec<Sent>) {
        let mut hand = self.hand();
        let begun = match &self.claims {
            Some(claims) => {
                let claimed = claims.next_turn();
                hand.turn = claimed.turn;
                hand.begun(claimed.begun)
            }
            None => hand.calls.len(),
        };
        let rest = hand.split_off(begun);
        (hand.split_off(0).into_iter().map(|sent| sent.call).collect(), rest)
    }

    /// The calls that it has.
    pub(super) fn calls(&self) -> Vec<Arc<Call>> {
        self.hand().calls.iter().map(|sent| Arc::clone(&sent.call)).collect()
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

    fn hand(&self) -> MutexGuard<'_, Hand> {
        // No foreign code runs under the lock.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
