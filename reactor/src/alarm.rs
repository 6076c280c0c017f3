//! Until when the turning thread sleeps, for workers that have an earlier deadline.

use crate::sync::{AtomicU64, Ordering, fence};

/// The turning thread does not sleep: it will look at all deadlines before it does.
const AWAKE: u64 = 0;

/// The deadline that the turning thread sleeps to.
///
/// A worker's timers are looked after by itself while it runs, and by the turning thread while it sleeps. So a
/// worker that goes to sleep must know whether the turning thread has taken its earliest deadline into account:
///
/// ```text
/// turning thread                       worker
/// T1  word = what it sleeps to         W1  its published deadline = d
/// T2  SeqCst fence                     W2  SeqCst fence
/// T3  read all deadlines again         W3  read word; interrupt if d < word
/// T4  sleep to the earliest
/// ```
///
/// The two fences have an order. If W2 is first, T3 reads d and the sleep ends by then. If T2 is first, W3 reads
/// what T1 wrote (or a later value, from a later round of T, to which the same applies), and interrupts if that is
/// too late. An interrupt that comes before T4 is kept: see `Interrupt`.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// Nanoseconds on the reactor's clock, `u64::MAX` for a sleep without end, or `AWAKE`.
    /// Written by the turning thread only.
    word: AtomicU64,
}

impl Alarm {
    pub(crate) fn new() -> Alarm {
        Alarm { word: AtomicU64::new(AWAKE) }
    }

    /// The turning thread is about to sleep to the deadline that `earliest` gives. Returns what it must sleep to.
    pub(crate) fn set(&self, earliest: impl Fn() -> u64) -> u64 {
        let deadline = earliest();
        // Relaxed: the fence orders it.
        self.word.store(deadline, Ordering::Relaxed);
        // Pairs with the fence in `is_late_for`.
        fence(Ordering::SeqCst);
        // Where this is earlier than what the word says, the word is only pessimistic: a worker with a deadline
        // between the two interrupts for nothing.
        deadline.min(earliest())
    }

    /// As [`set`](Self::set), but the sleep ends at `limit`, if that is earlier.
    pub(crate) fn set_within(&self, limit: u64, earliest: impl Fn() -> u64) -> u64 {
        self.set(|| earliest().min(limit))
    }

    /// The turning thread is awake.
    pub(crate) fn clear(&self) {
        // Relaxed: whoever still reads the old value at worst interrupts for nothing; whoever reads this one has
        // published its deadline before the fence of the next `set`, or reads that one's value.
        self.word.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the turning thread sleeps past `deadline`, which the caller has published before.
    pub(crate) fn is_late_for(&self, deadline: u64) -> bool {
        // Pairs with the fence in `set`.
        fence(Ordering::SeqCst);
        deadline < self.word.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use std::cell::Cell;

    use super::Alarm;

    #[test]
    fn sleeps_to_the_earlier_of_two_looks() {
        let alarm = Alarm::new();
        let looks = Cell::new(0);
        let slept_to = alarm.set(|| {
            looks.set(looks.get() + 1);
            if looks.get() == 1 { 20 } else { 10 }
        });
        assert_eq!(slept_to, 10);
    }

    #[test]
    fn is_late_only_while_asleep_and_only_for_earlier_deadlines() {
        let alarm = Alarm::new();
        assert!(!alarm.is_late_for(5));
        alarm.set(|| 10);
        assert!(alarm.is_late_for(5));
        assert!(!alarm.is_late_for(10));
        alarm.clear();
        assert!(!alarm.is_late_for(5));
    }
}
