//! The levels' slots: where a deadline belongs, and the list of entries in each slot.

use crate::slab::{NIL, Slab};

/// Nanoseconds of a tick, the width of a slot on the finest level, as a power of two: 65.5 µs.
const TICK_BITS: u32 = 16;
/// Slots of a level, as a power of two. 64, so that a level's occupied slots are one word.
const SLOT_BITS: u32 = 6;
/// Slots of a level.
const SLOTS: usize = 1 << SLOT_BITS;
/// Levels, each 64 times as coarse as the one before. Eight of them hold every `u64`, so nothing overflows.
pub(crate) const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(SLOT_BITS) as usize;

/// The tick that an instant is in.
#[inline]
pub(crate) fn tick_of(instant: u64) -> u64 {
    instant >> TICK_BITS
}

/// The level on which two ticks part: the one of their highest differing digit (base 64); 0 if they are the same.
#[inline]
pub(crate) fn level_between(a: u64, b: u64) -> usize {
    // The low digit is set so that there always is a highest bit.
    (((a ^ b) | (SLOTS as u64 - 1)).ilog2() / SLOT_BITS) as usize
}

/// A tick's digit on a level: its slot there.
#[inline]
pub(crate) fn digit(tick: u64, level: usize) -> usize {
    (tick >> (level as u32 * SLOT_BITS)) as usize % SLOTS
}

/// The number of a level's slot among all slots.
#[inline]
pub(crate) fn number(level: usize, digit: usize) -> usize {
    level * SLOTS + digit
}

/// One slot: a list, linked through the slab's nodes, in which equal deadlines keep their order of insertion.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// First entry; `NIL` exactly if the slot is empty.
    head: u32,
    /// Last entry; `NIL` exactly if the slot is empty.
    tail: u32,
    /// At or before the earliest deadline in the list: set by insertion, not raised by cancellation. Meaningless if
    /// the slot is empty.
    earliest: u64,
}

/// The slots of all levels.
#[derive(Debug)]
pub(crate) struct Slots {
    /// By number; see [`number`].
    slots: Box<[Slot; LEVELS * SLOTS]>,
    /// Per level, a bit for each slot that is not empty.
    occupied: [u64; LEVELS],
}

impl Slots {
    pub(crate) fn new() -> Slots {
        let empty = Slot { head: NIL, tail: NIL, earliest: u64::MAX };
        Slots { slots: Box::new([empty; LEVELS * SLOTS]), occupied: [0; LEVELS] }
    }

    /// Appends a node to a slot's list.
    #[inline]
    pub(crate) fn append<T>(&mut self, number: usize, slab: &mut Slab<T>, index: u32) {
        let slot = &mut self.slots[number];
        let tail = slot.tail;
        let node = slab.node_mut(index);
        node.slot = number as u16;
        node.prev = tail;
        node.next = NIL;
        slot.tail = index;
        if tail == NIL {
            slot.head = index;
            slot.earliest = node.deadline;
            self.occupied[number / SLOTS] |= 1 << (number % SLOTS);
        } else {
            slot.earliest = slot.earliest.min(node.deadline);
            slab.node_mut(tail).next = index;
        }
    }

    /// Takes a node out of its slot's list.
    #[inline]
    pub(crate) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: u32) {
        let node = slab.node(index);
        let (prev, next, number) = (node.prev, node.next, node.slot as usize);
        if prev == NIL {
            self.slots[number].head = next;
        } else {
            slab.node_mut(prev).next = next;
        }
        if next == NIL {
            self.slots[number].tail = prev;
        } else {
            slab.node_mut(next).prev = prev;
        }
        if prev == NIL && next == NIL {
            self.vacate(number);
        }
    }

    /// Empties a slot and gives its list: the first node, linked to the others by `next`.
    pub(crate) fn take(&mut self, number: usize) -> u32 {
        let head = self.slots[number].head;
        self.slots[number].head = NIL;
        self.slots[number].tail = NIL;
        self.vacate(number);
        head
    }

    #[inline]
    fn vacate(&mut self, number: usize) {
        self.occupied[number / SLOTS] &= !(1 << (number % SLOTS));
    }

    #[inline]
    pub(crate) fn head(&self, number: usize) -> u32 {
        self.slots[number].head
    }

    #[inline]
    pub(crate) fn tail(&self, number: usize) -> u32 {
        self.slots[number].tail
    }

    /// At or before the earliest deadline in the slot; `None` if it is empty.
    #[inline]
    pub(crate) fn earliest(&self, number: usize) -> Option<u64> {
        let slot = &self.slots[number];
        (slot.head != NIL).then_some(slot.earliest)
    }

    /// Corrects `earliest` of a slot that is not empty.
    #[inline]
    pub(crate) fn set_earliest(&mut self, number: usize, earliest: u64) {
        self.slots[number].earliest = earliest;
    }

    /// The first occupied slot of a level.
    #[inline]
    pub(crate) fn first_of(&self, level: usize) -> Option<usize> {
        let occupied = self.occupied[level];
        (occupied != 0).then(|| number(level, occupied.trailing_zeros() as usize))
    }

    /// The first occupied slot of the finest occupied level.
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        let level = self.occupied.iter().position(|&occupied| occupied != 0)?;
        self.first_of(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_every_instant() {
        assert_eq!(LEVELS, 8);
        assert_eq!(level_between(0, tick_of(u64::MAX)), LEVELS - 1);
        assert_eq!(digit(tick_of(u64::MAX), LEVELS - 1), SLOTS - 1);
    }

    #[test]
    fn the_level_is_that_of_the_highest_digit_that_differs() {
        assert_eq!(level_between(7, 7), 0);
        assert_eq!(level_between(0, 63), 0);
        assert_eq!(level_between(63, 64), 1);
        assert_eq!(level_between(64, 4096 + 64), 2);
        assert_eq!((digit(4096 + 64, 0), digit(4096 + 64, 1), digit(4096 + 64, 2)), (0, 1, 1));
    }
}
