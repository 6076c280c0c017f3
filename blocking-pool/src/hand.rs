//! The calls that a process was sent and has not answered.

use std::collections::VecDeque;

use crate::turns::Turns;

/// What one process of a pool has to do, in the order in which it was sent and will be answered.
#[derive(Debug)]
pub(crate) struct Hand<T> {
    calls: VecDeque<T>,
    /// The turn in which calls are sent now.
    turn: u32,
    /// The calls that were begun and answered since the start, modulo 2³².
    answered: u32,
    /// The same when somebody last looked whether it gets on.
    seen: u32,
}

impl<T> Hand<T> {
    pub(crate) fn new() -> Hand<T> {
        Hand { calls: VecDeque::new(), turn: 0, answered: 0, seen: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.calls.iter()
    }

    /// The turn with which a call has to be sent that is pushed now.
    pub(crate) fn turn(&self) -> u32 {
        self.turn
    }

    pub(crate) fn push(&mut self, call: T) {
        self.calls.push_back(call);
    }

    /// An answer has come: takes the call, if it is the one that must be answered next.
    pub(crate) fn answered(&mut self, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
        if !self.calls.front().is_some_and(is_it) {
            return None;
        }
        self.answered = self.answered.wrapping_add(1);
        self.calls.pop_front()
    }

    /// How many of the calls, from the first, have begun at least.
    pub(crate) fn begun(&self, turns: &Turns) -> usize {
        self.begun_of(turns.begun())
    }

    fn begun_of(&self, begun: u32) -> usize {
        (begun.wrapping_sub(self.answered) as usize).min(self.calls.len())
    }

    /// Takes back the calls that have not begun, and now won't.
    pub(crate) fn recall(&mut self, turns: &Turns) -> Vec<T> {
        if self.begun(turns) == self.calls.len() {
            return Vec::new();
        }
        let claimed = turns.next();
        self.turn = claimed.turn;
        self.calls.split_off(self.begun_of(claimed.begun)).into()
    }

    /// Takes all that are left.
    pub(crate) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.calls).into()
    }

    /// Whether it has answered nothing since this was last asked, and has calls waiting behind the first.
    pub(crate) fn is_stuck(&mut self) -> bool {
        let is_stuck = self.seen == self.answered && self.calls.len() > 1;
        self.seen = self.answered;
        is_stuck
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_is_kept() {
        let (turns, mut hand) = (Turns::new(), Hand::new());
        (0..5).for_each(|call| hand.push(call));
        assert!(turns.begin(0) && turns.begin(0));
        assert_eq!(hand.answered(|call| *call == 0), Some(0));
        assert_eq!(hand.begun(&turns), 1);
        assert_eq!(hand.recall(&turns), [2, 3, 4]);
        assert_eq!((hand.turn(), hand.len()), (1, 1));
        assert_eq!(hand.recall(&turns), []);
        assert_eq!(hand.answered(|call| *call == 2), None);
        assert_eq!(hand.answered(|call| *call == 1), Some(1));
        hand.push(5);
        assert_eq!(hand.begun(&turns), 0);
        assert_eq!(hand.recall(&turns), [5]);
    }

    #[test]
    fn is_stuck_without_answers_between_two_looks() {
        let mut hand = Hand::new();
        (0..3).for_each(|call| hand.push(call));
        assert!(hand.is_stuck());
        hand.answered(|_| true);
        assert!(!hand.is_stuck());
        assert!(hand.is_stuck());
        hand.answered(|_| true);
        hand.answered(|_| true);
        assert!(!hand.is_stuck());
    }
}
