//! The wheel.

use crate::slab::{Key, NIL, Slab};
use crate::slots::{Slots, digit, level_between, number, tick_of};

/// A hashed hierarchical timing wheel with payloads of type `T`.
///
/// Eight levels of 64 slots. A slot is 65.5 µs wide on the finest level, and 64 times as wide on each further one, so
/// the coarsest level holds the largest `u64`. An entry is in the slot, of the level of the highest base-64 digit in
/// which its tick differs from the wheel's, of that digit. Three facts follow, and the rest of the code is made of them:
///
/// - every entry of a level is due before every entry of the next level, and a level's slots are in order;
/// - entries of one deadline are in one slot at any time, so a list that is appended to keeps their order;
/// - when time comes to a new tick, only the slots that were passed, which are due as a whole, and one more,
///   whose entries are spread over finer levels, must be touched.
///
/// Memory: 8 KiB of slots, and a vector of entries that grows as needed, reuses the places of entries that are gone,
/// and is given back (all but 1024 places) whenever the wheel runs empty.
#[derive(Debug)]
pub struct Wheel<T> {
    /// The latest `now` seen. No entry that was inserted before that turn is due at or before it.
    now: u64,
    /// The lists of entries; every entry is in the slot that its deadline and `now` demand, late ones in the current.
    slots: Slots,
    /// Where the entries live.
    slab: Slab<T>,
    /// The list of the current slot (of the finest level, in which `now` is) is in order of deadline.
    current_is_sorted: bool,
    /// Only used within `turn`: nodes of the current slot while they are put in order.
    scratch: Vec<(u64, u32)>,
}

impl<T> Wheel<T> {
    /// An empty wheel at this time.
    pub fn new(now: u64) -> Wheel<T> {
        Wheel { now, slots: Slots::new(), slab: Slab::new(), current_is_sorted: true, scratch: Vec::new() }
    }

    /// The latest time that the wheel was told.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many entries wait in the wheel.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no entry waits in the wheel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry. One whose deadline has passed is due at the next turn.
    ///
    /// # Panics
    ///
    /// When the wheel holds 2³² - 1 entries.
    #[inline]
    pub fn insert(&mut self, deadline: u64, payload: T) -> Key {
        let key = self.slab.insert(deadline, payload);
        self.place(key.index, deadline);
        key
    }

    /// Takes an entry out; `None` if it has fired or was cancelled.
    #[inline]
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        if !self.slab.contains(key) {
            return None;
        }
        self.slots.unlink(&mut self.slab, key.index);
        self.slab.remove(key.index)
    }

    /// An entry's payload, to be changed; `None` if it has fired or was cancelled.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slab.get_mut(key)
    }

    /// When to turn next: at or before the earliest deadline; `None` if the wheel is empty.
    ///
    /// It is the earliest deadline itself, unless that entry was cancelled. A turn at the time given here either fires
    /// something or corrects the answer, so a caller that always turns at `next_deadline` makes progress.
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        self.slots.earliest(self.slots.first()?)
    }

    /// The earliest deadline, exactly; `None` if the wheel is empty. Looks at every entry of one slot.
    pub fn earliest(&self) -> Option<u64> {
        let mut index = self.slots.head(self.slots.first()?);
        let mut earliest = u64::MAX;
        while index != NIL {
            let node = self.slab.node(index);
            earliest = earliest.min(node.deadline);
            index = node.next;
        }
        Some(earliest)
    }

    /// Moves time to `now` and appends all that is due to `fired`: deadlines and payloads, in order of deadline, and
    /// for equal deadlines in order of insertion.
    ///
    /// Time does not run backwards: an earlier `now` than before counts as the one before.
    pub fn turn(&mut self, now: u64, fired: &mut Vec<(u64, T)>) {
        let before = tick_of(self.now);
        self.now = self.now.max(now);
        if tick_of(self.now) != before {
            self.pass(before, fired);
        }
        self.fire_current(fired);
    }

    /// Puts a node into the slot where its deadline belongs.
    #[inline]
    fn place(&mut self, index: u32, deadline: u64) {
        let tick = tick_of(self.now);
        let target = tick_of(deadline).max(tick);
        let level = level_between(tick, target);
        let number = number(level, digit(target, level));
        if target == tick {
            let tail = self.slots.tail(number);
            self.current_is_sorted =
                tail == NIL || (self.current_is_sorted && self.slab.node(tail).deadline <= deadline);
        }
        self.slots.append(number, &mut self.slab, index);
    }

    /// Fires the slots that time has left since the tick `before`, and spreads the one it has come into.
    fn pass(&mut self, before: u64, fired: &mut Vec<(u64, T)>) {
        let tick = tick_of(self.now);
        let top = level_between(before, tick);
        for level in 0..top {
            while let Some(passed) = self.slots.first_of(level) {
                self.fire_slot(passed, fired);
            }
        }
        let entered = number(top, digit(tick, top));
        while let Some(passed) = self.slots.first_of(top).filter(|&passed| passed < entered) {
            self.fire_slot(passed, fired);
        }
        if top > 0 {
            self.spread(entered);
        }
        // On the finest level the slot's list becomes the current one as it is.
        self.current_is_sorted = false;
    }

    /// Fires a slot as a whole.
    fn fire_slot(&mut self, number: usize, fired: &mut Vec<(u64, T)>) {
        let start = fired.len();
        let mut index = self.slots.take(number);
        while index != NIL {
            let node = self.slab.node(index);
            let (deadline, next) = (node.deadline, node.next);
            fired.extend(self.slab.remove(index).map(|payload| (deadline, payload)));
            index = next;
        }
        // Stable, so equal deadlines stay in the list's order.
        fired[start..].sort_by_key(|&(deadline, _)| deadline);
    }

    /// Moves the entries of a coarse slot, in which `now` is, to finer levels. Those are empty, so order is kept.
    fn spread(&mut self, number: usize) {
        let mut index = self.slots.take(number);
        while index != NIL {
            let node = self.slab.node(index);
            let (deadline, next) = (node.deadline, node.next);
            self.place(index, deadline);
            index = next;
        }
    }

    /// Fires what is due of the current slot, and corrects its `earliest`.
    fn fire_current(&mut self, fired: &mut Vec<(u64, T)>) {
        let number = number(0, digit(tick_of(self.now), 0));
        if self.slots.earliest(number).is_none_or(|earliest| earliest > self.now) {
            return;
        }
        if !self.current_is_sorted {
            self.sort_current(number);
        }
        loop {
            let head = self.slots.head(number);
            if head == NIL {
                return;
            }
            let deadline = self.slab.node(head).deadline;
            if deadline > self.now {
                return self.slots.set_earliest(number, deadline);
            }
            self.slots.unlink(&mut self.slab, head);
            fired.extend(self.slab.remove(head).map(|payload| (deadline, payload)));
        }
    }

    /// Puts the current slot's list in order of deadline, so that many turns within a tick don't search it each time.
    fn sort_current(&mut self, number: usize) {
        let mut nodes = std::mem::take(&mut self.scratch);
        let mut index = self.slots.take(number);
        while index != NIL {
            let node = self.slab.node(index);
            nodes.push((node.deadline, index));
            index = node.next;
        }
        nodes.sort_by_key(|&(deadline, _)| deadline);
        for (_, index) in nodes.drain(..) {
            self.slots.append(number, &mut self.slab, index);
        }
        self.current_is_sorted = true;
        self.scratch = nodes;
        self.scratch.shrink_to(SCRATCH_KEPT);
    }
}

/// Places of the sorting buffer that are kept between turns.
const SCRATCH_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 1 << 16;

    fn turn<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<(u64, T)> {
        let mut fired = Vec::new();
        wheel.turn(now, &mut fired);
        fired
    }

    #[test]
    fn an_empty_wheel_turns() {
        let mut wheel = Wheel::<()>::new(5);
        assert_eq!((wheel.next_deadline(), wheel.len(), wheel.is_empty()), (None, 0, true));
        assert_eq!(turn(&mut wheel, u64::MAX), []);
        assert_eq!(wheel.now(), u64::MAX);
    }

    #[test]
    fn fires_at_the_deadline_and_not_before() {
        for deadline in [1, TICK - 1, TICK, 63 * TICK, 64 * TICK, 1 << 40, (1 << 40) + 12_345, u64::MAX] {
            let mut wheel = Wheel::new(0);
            wheel.insert(deadline, ());
            assert_eq!(turn(&mut wheel, deadline - 1), [], "{deadline}");
            assert_eq!(wheel.next_deadline(), Some(deadline));
            assert_eq!(turn(&mut wheel, deadline), [(deadline, ())]);
        }
    }

    #[test]
    fn the_past_is_due_at_the_next_turn_in_order() {
        let mut wheel = Wheel::new(1 << 40);
        wheel.insert(7, 'b');
        wheel.insert(3, 'a');
        wheel.insert(7, 'c');
        assert_eq!(wheel.next_deadline(), Some(3));
        assert_eq!(turn(&mut wheel, 0), [(3, 'a'), (7, 'b'), (7, 'c')]);
        assert_eq!(wheel.now(), 1 << 40);
    }

    #[test]
    fn equal_deadlines_fire_in_order_of_insertion_whatever_level_they_began_on() {
        let deadline = 5_000_000_000;
        let mut wheel = Wheel::new(0);
        for (n, now) in
            [0, 4_000_000_000, 4_990_000_000, 4_999_900_000, 4_999_999_999].into_iter().enumerate()
        {
            assert_eq!(turn(&mut wheel, now), []);
            wheel.insert(deadline, n);
        }
        let order: Vec<usize> = turn(&mut wheel, deadline + TICK).into_iter().map(|(_, n)| n).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_tick_is_fired_bit_by_bit() {
        let mut wheel = Wheel::new(0);
        for deadline in (0..1000).rev() {
            wheel.insert(10 * TICK + deadline, deadline);
        }
        for deadline in 0..1000 {
            assert_eq!(wheel.next_deadline(), Some(10 * TICK + deadline));
            assert_eq!(turn(&mut wheel, 10 * TICK + deadline), [(10 * TICK + deadline, deadline)]);
        }
        assert!(wheel.is_empty());
    }

    #[test]
    fn cancelling_leaves_the_others_and_keys_go_stale() {
        let mut wheel = Wheel::new(0);
        let keys: Vec<Key> = (0..5).map(|n| wheel.insert(100, n)).collect();
        assert_eq!(wheel.cancel(keys[0]), Some(0));
        assert_eq!(wheel.cancel(keys[2]), Some(2));
        assert_eq!(wheel.cancel(keys[4]), Some(4));
        assert_eq!(wheel.cancel(keys[2]), None);
        *wheel.get_mut(keys[1]).unwrap() = 10;
        wheel.insert(100, 5);
        assert_eq!(wheel.get_mut(keys[4]), None);
        assert_eq!(wheel.len(), 3);
        assert_eq!(turn(&mut wheel, 100), [(100, 10), (100, 3), (100, 5)]);
        assert_eq!(wheel.cancel(keys[1]), None);
    }

    #[test]
    fn turning_at_a_cancelled_deadline_makes_progress() {
        let mut wheel = Wheel::new(0);
        let early = wheel.insert(1 << 40, 'a');
        wheel.insert((1 << 40) + 2, 'b');
        wheel.cancel(early);
        assert_eq!(wheel.next_deadline(), Some(1 << 40));
        assert_eq!(wheel.earliest(), Some((1 << 40) + 2));
        assert_eq!(turn(&mut wheel, 1 << 40), []);
        assert_eq!(wheel.next_deadline(), Some((1 << 40) + 2));

        let late = wheel.insert((1 << 40) + 1, 'c');
        wheel.cancel(late);
        assert_eq!(turn(&mut wheel, (1 << 40) + 1), []);
        assert_eq!(wheel.next_deadline(), Some((1 << 40) + 2));
    }

    #[test]
    fn the_wheel_can_be_sent_where_its_payload_can() {
        fn assert_send_sync<T: Send + Sync>() {}
        assert_send_sync::<Wheel<std::task::Waker>>();
        assert_send_sync::<Key>();
    }
}
