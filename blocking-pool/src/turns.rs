//! The word by which a pool and one of its processes agree on which calls have begun.
//!
//! It holds the *turn*, and how many calls the process has begun. Each call is sent with the turn of that time. The process
//! begins a call by counting it, if the turn is still the call's; the pool takes back all that have not begun by going on to
//! the next turn. Both are one compare-and-swap, so each call is either begun or had back, and both sides know which.
//!
//! All orderings are Relaxed: nothing but the word itself is handed over by it, and its changes have one order for both.

use std::sync::atomic::Ordering::Relaxed;

use crate::sync::AtomicU64;

/// The word. A new one says turn 0, and that no call has begun; all zero is that, too.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Turns(AtomicU64);

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) turn: u32,
    /// The calls that were begun since the start, modulo 2³².
    pub(crate) begun: u32,
}

impl Claimed {
    fn from_word(word: u64) -> Claimed {
        Claimed { turn: (word >> 32) as u32, begun: word as u32 }
    }

    fn into_word(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.begun)
    }
}

impl Turns {
    #[cfg(test)]
    pub(crate) fn new() -> Turns {
        Turns(AtomicU64::new(0))
    }

    /// Process: begins a call of this turn; false if it was taken back.
    pub(crate) fn begin(&self, turn: u32) -> bool {
        let begin = |word| {
            let claimed = Claimed::from_word(word);
            let begun = claimed.begun.wrapping_add(1);
            (claimed.turn == turn).then(|| Claimed { begun, ..claimed }.into_word())
        };
        self.0.fetch_update(Relaxed, Relaxed, begin).is_ok()
    }

    /// Pool: goes on to the next turn. What has begun by now is what will have begun of the turns before.
    pub(crate) fn next(&self) -> Claimed {
        let next = |claimed: Claimed| Claimed { turn: claimed.turn.wrapping_add(1), ..claimed };
        let update = |word| Some(next(Claimed::from_word(word)).into_word());
        let before = self.0.fetch_update(Relaxed, Relaxed, update).unwrap_or_else(|word| word);
        next(Claimed::from_word(before))
    }

    /// Pool: how many calls have begun at least.
    pub(crate) fn begun(&self) -> u32 {
        Claimed::from_word(self.0.load(Relaxed)).begun
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_begun_or_had_back() {
        let turns = Turns::new();
        assert!(turns.begin(0));
        assert_eq!(turns.begun(), 1);
        assert_eq!(turns.next(), Claimed { turn: 1, begun: 1 });
        assert!(!turns.begin(0));
        assert!(turns.begin(1));
        assert_eq!(turns.begun(), 2);
    }

    #[test]
    fn numbers_begin_anew_after_the_last() {
        let last = Claimed { turn: u32::MAX, begun: u32::MAX };
        let turns = Turns(AtomicU64::new(last.into_word()));
        assert!(turns.begin(u32::MAX));
        assert_eq!(turns.next(), Claimed { turn: 0, begun: 0 });
        assert!(!turns.begin(u32::MAX));
        assert!(turns.begin(0));
    }
}
