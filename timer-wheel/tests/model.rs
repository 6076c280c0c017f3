//! The wheel against a sorted map, on random sequences of everything that can be done to it.

use std::collections::BTreeMap;

use kumihimo_timer_wheel::{Key, Wheel};
use proptest::prelude::*;

/// Ten years, in nanoseconds.
const TEN_YEARS: u64 = 10 * 366 * 24 * 3600 * 1_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// Insert, this long after now.
    Insert(u64),
    /// Insert at exactly this time: often the past, and often the same for many.
    InsertAt(u64),
    /// Insert this many with one deadline.
    Crowd(u64, u8),
    /// Cancel one of the keys ever made, stale ones included.
    Cancel(prop::sample::Index),
    /// Change the payload of one of them.
    Change(prop::sample::Index),
    /// Turn, this much later.
    Turn(u64),
    /// Turn to an absolute time, backwards included.
    TurnTo(u64),
    /// Turn to what the wheel says is next.
    TurnToNext,
}

/// Spans of every magnitude, so that every level is met.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        (0..64u32, any::<u64>()).prop_map(|(bits, n)| n >> bits),
        (0..TEN_YEARS),
        (0..1_000_000_000u64),
        (0..200_000u64),
        (0..8u64).prop_map(|n| n << 16),
        Just(u64::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span().prop_map(Step::Insert),
        2 => (0..4u64).prop_map(|n| Step::InsertAt(n * 40_000)),
        1 => Just(Step::InsertAt(u64::MAX)),
        1 => (span(), 1..40u8).prop_map(|(after, count)| Step::Crowd(after, count)),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        1 => any::<prop::sample::Index>().prop_map(Step::Change),
        2 => (0..5_000_000_000u64).prop_map(Step::Turn),
        2 => (0..100_000u64).prop_map(Step::Turn),
        1 => (0..40u32, 0..TEN_YEARS).prop_map(|(bits, n)| Step::Turn(n >> bits)),
        1 => (0..1_000_000u64).prop_map(Step::TurnTo),
        3 => Just(Step::TurnToNext),
    ]
}

/// The wheel and what it should be.
struct Pair {
    wheel: Wheel<u32>,
    /// By deadline, then order of insertion.
    model: BTreeMap<(u64, usize), u32>,
    /// Every key ever made, with its place in the model.
    keys: Vec<(Key, (u64, usize))>,
    now: u64,
}

impl Pair {
    fn new(now: u64) -> Pair {
        Pair { wheel: Wheel::new(now), model: BTreeMap::new(), keys: Vec::new(), now }
    }

    fn insert(&mut self, deadline: u64) {
        let order = self.keys.len();
        let key = self.wheel.insert(deadline, order as u32);
        self.model.insert((deadline, order), order as u32);
        self.keys.push((key, (deadline, order)));
    }

    fn cancel(&mut self, which: prop::sample::Index) {
        if !self.keys.is_empty() {
            let (key, place) = *which.get(&self.keys);
            assert_eq!(self.wheel.cancel(key), self.model.remove(&place));
        }
    }

    fn change(&mut self, which: prop::sample::Index) {
        if !self.keys.is_empty() {
            let (key, place) = *which.get(&self.keys);
            let payload = self.wheel.get_mut(key);
            assert_eq!(payload.as_deref(), self.model.get(&place));
            if let Some(payload) = payload {
                *payload += 1_000_000;
                *self.model.get_mut(&place).unwrap() += 1_000_000;
            }
        }
    }

    fn turn(&mut self, now: u64) {
        self.now = self.now.max(now);
        let rest = match self.now.checked_add(1) {
            Some(after) => self.model.split_off(&(after, 0)),
            None => BTreeMap::new(),
        };
        let due = std::mem::replace(&mut self.model, rest);
        let mut fired = vec![(u64::MAX, 0)];
        self.wheel.turn(now, &mut fired);
        let expected = due.into_iter().map(|((deadline, _), payload)| (deadline, payload));
        assert!(fired[1..].iter().copied().eq(expected), "fired {fired:?} at {now}");
    }

    /// A turn at `next_deadline` fires something or moves `next_deadline` on.
    fn turn_to_next(&mut self) {
        let Some(next) = self.wheel.next_deadline() else { return };
        let before = self.wheel.len();
        self.turn(next);
        assert!(self.wheel.len() < before || self.wheel.next_deadline() > Some(next), "no progress");
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Insert(after) => self.insert(self.now.saturating_add(after)),
            Step::InsertAt(deadline) => self.insert(deadline),
            Step::Crowd(after, count) => {
                (0..count).for_each(|_| self.insert(self.now.saturating_add(after)));
            }
            Step::Cancel(which) => self.cancel(which),
            Step::Change(which) => self.change(which),
            Step::Turn(after) => self.turn(self.now.saturating_add(after)),
            Step::TurnTo(now) => self.turn(now),
            Step::TurnToNext => self.turn_to_next(),
        }
    }

    fn check(&self) {
        assert_eq!((self.wheel.len(), self.wheel.now()), (self.model.len(), self.now));
        let earliest = self.model.keys().next().map(|&(deadline, _)| deadline);
        let next = self.wheel.next_deadline();
        assert_eq!(next.is_some(), earliest.is_some());
        assert_eq!(self.wheel.earliest(), earliest);
        assert!(next <= earliest, "next_deadline {next:?} is after {earliest:?}");
    }
}

fn run(start: u64, steps: Vec<Step>) {
    let mut pair = Pair::new(start);
    let mut cancelled = false;
    for step in steps {
        cancelled |= matches!(step, Step::Cancel(_));
        pair.apply(step);
        pair.check();
        if !cancelled {
            // Only cancelling may leave it too early.
            let earliest = pair.model.keys().next().map(|&(deadline, _)| deadline);
            assert_eq!(pair.wheel.next_deadline(), earliest);
        }
    }
    // Whatever is left comes out, by the wheel's own word on when.
    while !pair.wheel.is_empty() {
        pair.turn_to_next();
    }
    pair.check();
}

fn config(cases: u32) -> ProptestConfig {
    let cases = if cfg!(miri) { 8 } else { cases };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn does_what_a_sorted_map_does(
        start in prop_oneof![Just(0), span()],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        run(start, steps);
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn many_at_one_instant(
        start in span(),
        after in span(),
        count in 1..2000usize,
        cancel in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let mut pair = Pair::new(start);
        let deadline = start.saturating_add(after);
        // Twice: a wheel that ran empty after many gives memory back.
        for _ in 0..2 {
            (0..count).for_each(|_| pair.insert(deadline));
            cancel.iter().for_each(|&which| pair.cancel(which));
            pair.check();
            pair.turn(deadline.saturating_sub(1));
            pair.turn(deadline);
            pair.check();
        }
    }
}
