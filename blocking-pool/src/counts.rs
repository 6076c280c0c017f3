//! How many threads there are and what they do, in one word.

/// Bits per count; the one bit above the three is `CLOSED`.
const BITS: u32 = (usize::BITS - 2) / 3;
const MASK: usize = (1 << BITS) - 1;

/// One thread that looks for a job, or is being woken or started to do so.
pub(crate) const SEARCHING: usize = 1;
/// One thread that is parked, and on the list of those that can be woken.
pub(crate) const PARKED: usize = 1 << BITS;
/// One thread, whatever it does.
pub(crate) const THREAD: usize = 1 << (2 * BITS);
/// The pool takes no more jobs. Never cleared.
pub(crate) const CLOSED: usize = 1 << (3 * BITS);

/// The most threads that can be counted.
pub(crate) const MAX_THREADS: usize = MASK;

/// A value of the word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts(pub(crate) usize);

impl Counts {
    pub(crate) fn searching(self) -> usize {
        self.0 & MASK
    }

    pub(crate) fn parked(self) -> usize {
        self.0 >> BITS & MASK
    }

    pub(crate) fn threads(self) -> usize {
        self.0 >> (2 * BITS) & MASK
    }

    pub(crate) fn closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}
