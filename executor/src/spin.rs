//! Spinning before sleeping, where it has been worth it.
//!
//! A thread that sleeps and is woken at once costs two system calls and the time to start a processor. Whether a moment of
//! spinning saves that depends on what the others do, and on whether they have a processor of their own, so each thread
//! finds out for itself: it tries after a sleep that was short, as often as that goes well, and half as often after each
//! time that it does not.

use std::time::{Duration, Instant};

/// Looks between two readings of the clock.
const LOOKS: u32 = 16;

/// The most short sleeps between two tries.
const MAX_WAIT: u32 = 128;

/// One thread's experience with spinning.
#[derive(Debug)]
pub struct Spin {
    /// How long a spin lasts.
    length: Duration,
    /// Short sleeps still to come before the next try.
    left: u32,
    /// Short sleeps to wait for after the next failure.
    wait: u32,
}

impl Spin {
    /// Spins of this length, to be tried after the first short sleep.
    pub fn new(length: Duration) -> Spin {
        Spin { length, left: 1, wait: 1 }
    }

    /// Spins until there is something; false if there is nothing, or it is not worth a try.
    #[inline]
    pub fn until(&mut self, is_there: impl Fn() -> bool) -> bool {
        // loom has no time to pass, and looks at every order of events anyway.
        self.left == 0 && !cfg!(kumihimo_loom) && self.try_until(is_there)
    }

    fn try_until(&mut self, is_there: impl Fn() -> bool) -> bool {
        let began = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if is_there() {
                    self.wait = 1;
                    return true;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= self.length {
                break;
            }
        }
        self.left = self.wait;
        self.wait = (self.wait * 2).min(MAX_WAIT);
        false
    }

    /// A sleep is over: it was short if a spin could have taken its place.
    #[inline]
    pub fn slept(&mut self, time: Duration) {
        if time < self.length * 4 {
            self.left = self.left.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    #[test]
    fn it_is_tried_after_a_short_sleep_and_less_often_after_failures() {
        let mut spin = Spin::new(MICRO);
        assert!(!spin.until(|| true));
        spin.slept(MICRO);
        assert!(spin.until(|| true));
        assert!(!spin.until(|| false));
        spin.slept(MICRO * 100);
        assert!(!spin.until(|| true));
        spin.slept(MICRO);
        assert!(!spin.until(|| false));
        spin.slept(MICRO);
        assert!(!spin.until(|| true));
        spin.slept(MICRO);
        assert!(spin.until(|| true));
    }
}
