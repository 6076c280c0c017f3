//! What is known of a descriptor: one word per source.

use std::ops::BitOr;

use crate::sync::{AtomicUsize, Ordering};

/// One of the two directions of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the descriptor: reading, accepting.
    Read,
    /// To the descriptor: writing, and the end of a connect.
    Write,
}

/// What a poller reports about a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready(usize);

impl Ready {
    pub(crate) const NONE: Ready = Ready(0);
    pub(crate) const READABLE: Ready = Ready(1);
    pub(crate) const WRITABLE: Ready = Ready(1 << 1);
    /// No edge will follow in this direction, because its end has been reported. It outlives short reads, so that
    /// an end that was reported together with data is not lost.
    pub(crate) const READ_CLOSED: Ready = Ready(1 << 2);
    pub(crate) const WRITE_CLOSED: Ready = Ready(1 << 3);
    /// An error makes both directions ready: whichever operation is next gets it.
    #[cfg_attr(polling_test_poll_backend, allow(dead_code))]
    pub(crate) const ERROR: Ready =
        Ready(Self::READABLE.0 | Self::WRITABLE.0 | Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0);

    /// Whether anything in this direction is ready.
    pub(crate) fn contains(self, direction: Direction) -> bool {
        self.0 & reported(direction) != 0
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

/// Nothing has been reported yet, so an operation is worth a try. Set when a source is made, so that the first read
/// of an accepted connection does not wait for a turn.
const READ_UNTRIED: usize = 1 << 4;
/// As `READ_UNTRIED`.
const WRITE_UNTRIED: usize = 1 << 5;
/// The source is deregistered. Never cleared.
const CLOSED: usize = 1 << 6;
/// The rest of the word counts reports. Wrapping is harmless: it would take 2^24 reports (where words have 32 bits)
/// during one operation.
const TICK: usize = 1 << 8;

/// The reported bits of a direction.
const fn reported(direction: Direction) -> usize {
    match direction {
        Direction::Read => Ready::READABLE.0 | Ready::READ_CLOSED.0,
        Direction::Write => Ready::WRITABLE.0 | Ready::WRITE_CLOSED.0,
    }
}

/// The bits that say that the state of a direction is not known.
const fn untried(direction: Direction) -> usize {
    match direction {
        Direction::Read => READ_UNTRIED,
        Direction::Write => WRITE_UNTRIED,
    }
}

/// The bits that data (or room for it) stands for.
const fn open(direction: Direction) -> usize {
    match direction {
        Direction::Read => Ready::READABLE.0,
        Direction::Write => Ready::WRITABLE.0,
    }
}

/// The readiness word: bits that reports set and operations clear, and a count of reports, so that an operation
/// clears only what it has seen.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Bits, and above them the count, which only reports change.
    word: AtomicUsize,
}

/// What an operation that ran after [`Seen`] was taken has learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// It would have blocked: nothing is ready, whatever was reported.
    Blocked,
    /// It did less than it was asked to: the data (or the room) is used up, but an end or an error that was
    /// reported is still to be fetched.
    Drained,
}

/// The readiness word at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(usize);

impl Seen {
    /// An operation in this direction may succeed.
    pub(crate) fn worth_trying(self, direction: Direction) -> bool {
        self.0 & (reported(direction) | untried(direction)) != 0
    }

    /// The poller has reported this direction, and no operation has found otherwise since.
    pub(crate) fn is_ready(self, direction: Direction) -> bool {
        self.0 & reported(direction) != 0
    }

    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}

impl Readiness {
    /// Of a descriptor about which nothing is known.
    pub(crate) fn new() -> Readiness {
        Readiness { word: AtomicUsize::new(READ_UNTRIED | WRITE_UNTRIED) }
    }

    #[inline]
    pub(crate) fn load(&self) -> Seen {
        // Relaxed: the word is all that there is to see, and who waits for a change registers under a lock that those who
        // change it take after that.
        Seen(self.word.load(Ordering::Relaxed))
    }

    /// The poller has reported `ready`.
    pub(crate) fn report(&self, ready: Ready) {
        self.update(|word| Some((word | ready.0).wrapping_add(TICK)));
    }

    /// Clears what an operation has found to be no longer so, unless there was a report since `seen`.
    ///
    /// A report that comes between the operation and this may be news or not. To keep it costs one operation that
    /// finds nothing; to clear it could lose the only edge.
    pub(crate) fn clear(&self, seen: Seen, direction: Direction, learned: Learned) {
        let bits = untried(direction)
            | match learned {
                Learned::Blocked => reported(direction),
                Learned::Drained => open(direction),
            };
        self.update(|word| (word / TICK == seen.0 / TICK && word & bits != 0).then_some(word & !bits));
    }

    /// The source is deregistered. False if it was already.
    pub(crate) fn close(&self) -> bool {
        self.update(|word| (word & CLOSED == 0).then_some(word | CLOSED))
    }

    /// Replaces the word; false if `next` declines.
    #[inline]
    fn update(&self, next: impl Fn(usize) -> Option<usize>) -> bool {
        // Relaxed: as in `load`.
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_descriptor_is_worth_a_try_but_not_ready() {
        let seen = Readiness::new().load();
        assert!(seen.worth_trying(Direction::Read) && seen.worth_trying(Direction::Write));
        assert!(!seen.is_ready(Direction::Read) && !seen.is_ready(Direction::Write));
    }

    #[test]
    fn a_report_after_the_look_is_not_cleared() {
        let readiness = Readiness::new();
        readiness.report(Ready::READABLE);
        let seen = readiness.load();
        readiness.report(Ready::READABLE);
        readiness.clear(seen, Direction::Read, Learned::Blocked);
        assert!(readiness.load().is_ready(Direction::Read));
        readiness.clear(readiness.load(), Direction::Read, Learned::Blocked);
        assert!(!readiness.load().worth_trying(Direction::Read));
    }

    #[test]
    fn directions_are_cleared_apart() {
        let readiness = Readiness::new();
        readiness.report(Ready::READABLE | Ready::WRITABLE);
        let seen = readiness.load();
        readiness.clear(seen, Direction::Read, Learned::Drained);
        readiness.clear(seen, Direction::Write, Learned::Drained);
        assert!(!readiness.load().worth_trying(Direction::Read));
        assert!(!readiness.load().worth_trying(Direction::Write));
    }

    #[test]
    fn a_reported_end_outlives_a_short_read_but_not_a_refusal() {
        let readiness = Readiness::new();
        readiness.report(Ready::READABLE | Ready::READ_CLOSED);
        readiness.clear(readiness.load(), Direction::Read, Learned::Drained);
        assert!(readiness.load().is_ready(Direction::Read));
        readiness.clear(readiness.load(), Direction::Read, Learned::Blocked);
        assert!(!readiness.load().worth_trying(Direction::Read));
    }

    #[test]
    fn closes_once() {
        let readiness = Readiness::new();
        assert!(readiness.close());
        assert!(!readiness.close());
        assert!(readiness.load().is_closed());
    }
}
