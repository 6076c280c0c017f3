//! The workers' timers: one wheel of wakers per worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use kumihimo_timer_wheel::{Key, Wheel};

use crate::sync::{AtomicU64, Mutex, Ordering, TryLockError, local, lock};
use crate::wake::drop_payload;

/// The published deadline of a shard without one.
pub(crate) const NEVER: u64 = u64::MAX;

/// Places of a thread's wake buffer that are kept between turns; what a burst took beyond is given back.
const BUFFER_KEPT: usize = 1024;

/// What came out of a wheel: deadlines and wakers, in order.
type Fired = Vec<(u64, Waker)>;

local! {
    // Wakers are collected under a lock and woken after it: this is the memory for it, taken while in use.
    static BUFFER: std::cell::Cell<Fired> = std::cell::Cell::new(Vec::new())
}

/// A word on cache lines of its own (two, as x86 prefetches pairs): others read it while the owner works next to it.
#[repr(align(128))]
#[derive(Debug)]
struct Padded(AtomicU64);

/// One worker's timers.
///
/// Only the owner inserts, so its lock is free nearly always: the holder of the baton fires what is overdue, and a
/// sleep that is dropped on another worker cancels its entry.
#[derive(Debug)]
pub(crate) struct Shard {
    /// At or before the earliest deadline in the wheel, [`NEVER`] if it is empty. Written under the wheel's lock.
    ///
    /// Reads and writes are relaxed: what a deadline is about is read under the lock. A worker that must be sure that
    /// a sleeping one has seen its deadline puts a sequentially consistent fence after the insertion, which pairs with
    /// the one that the sleeper puts before reading: `Reactor::before_park` and `Reactor::turn`.
    next: Padded,
    /// Deadlines and whom to wake. No foreign code (waking, cloning or dropping a waker) runs under the lock.
    wheel: Mutex<Wheel<Waker>>,
}

impl Shard {
    fn new(now: u64) -> Shard {
        Shard { next: Padded(AtomicU64::new(NEVER)), wheel: Mutex::new(Wheel::new(now)) }
    }

    /// At or before the earliest deadline; [`NEVER`] if there is none.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next.0.load(Ordering::Relaxed)
    }

    /// Has `waker` woken at `deadline`. To be called by the owner only. True beside the key if the published deadline
    /// is this one now: then the turning thread may have to [hear](crate::reactor::Shared::hurry) of it.
    #[inline]
    pub(crate) fn insert(&self, deadline: u64, waker: Waker) -> (Key, bool) {
        let mut wheel = lock(&self.wheel);
        let key = wheel.insert(deadline, waker);
        let earliest = deadline < self.next();
        if earliest {
            self.next.0.store(deadline, Ordering::Relaxed);
        }
        (key, earliest)
    }

    /// Takes an entry out, if it has not fired; the waker is for the caller to drop.
    ///
    /// The published deadline stays as it was: a time-out that is created and cancelled over and over writes it once.
    #[inline]
    pub(crate) fn cancel(&self, key: Key) -> Option<Waker> {
        lock(&self.wheel).cancel(key)
    }

    /// Sees to it that the entry wakes `waker`; false if it has fired.
    #[inline]
    pub(crate) fn renew(&self, key: Key, waker: &Waker) -> bool {
        match lock(&self.wheel).get_mut(key) {
            None => return false,
            Some(old) if old.will_wake(waker) => return true,
            Some(_) => {}
        }
        self.replace(key, waker.clone())
    }

    #[cold]
    fn replace(&self, key: Key, mut waker: Waker) -> bool {
        // `waker` holds the old one afterwards, and is dropped after the lock.
        match lock(&self.wheel).get_mut(key) {
            None => false,
            Some(old) => {
                std::mem::swap(old, &mut waker);
                true
            }
        }
    }

    /// Takes out what is due.
    fn collect(&self, wheel: &mut Wheel<Waker>, now: u64, fired: &mut Fired) {
        wheel.turn(now, fired);
        self.next.0.store(wheel.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
    }
}

/// The timers of all workers.
#[derive(Debug)]
pub(crate) struct Timers {
    /// By worker. Shared with the sleeps that have an entry, which may outlive the reactor.
    shards: Box<[Arc<Shard>]>,
}

impl Timers {
    pub(crate) fn new(workers: usize, now: u64) -> Timers {
        Timers { shards: (0..workers).map(|_| Arc::new(Shard::new(now))).collect() }
    }

    #[inline]
    pub(crate) fn shard(&self, worker: usize) -> &Arc<Shard> {
        &self.shards[worker]
    }

    /// At or before the earliest deadline of all workers; [`NEVER`] if there is none.
    pub(crate) fn next_deadline(&self) -> u64 {
        self.shards.iter().map(|shard| shard.next()).min().unwrap_or(NEVER)
    }

    /// The earliest deadline of all workers, exactly; [`NEVER`] if there is none. Takes every lock.
    ///
    /// For a paused clock, which must not jump to the deadline of a sleep that was cancelled.
    pub(crate) fn earliest(&self) -> u64 {
        let earliest = |shard: &Arc<Shard>| lock(&shard.wheel).earliest();
        self.shards.iter().filter_map(earliest).min().unwrap_or(NEVER)
    }

    /// Wakes what is due on one worker's wheel, in order of deadline; true if that was anything.
    #[inline]
    pub(crate) fn fire_due(&self, worker: usize, now: u64) -> bool {
        let shard = &self.shards[worker];
        if shard.next() > now {
            return false;
        }
        wake_collected(|fired| shard.collect(&mut lock(&shard.wheel), now, fired))
    }

    /// Wakes what is due on all wheels, in order of deadline across them; true if that was anything.
    ///
    /// A wheel, other than worker `own`'s, that is locked right now is left out: its owner is awake and looking at it.
    pub(crate) fn fire_all(&self, own: usize, now: u64) -> bool {
        if self.next_deadline() > now {
            return false;
        }
        wake_collected(|fired| {
            let mut sources = 0;
            for (worker, shard) in self.shards.iter().enumerate().filter(|(_, shard)| shard.next() <= now) {
                let before = fired.len();
                match shard.wheel.try_lock() {
                    Ok(mut wheel) => shard.collect(&mut wheel, now, fired),
                    Err(TryLockError::Poisoned(wheel)) => shard.collect(&mut wheel.into_inner(), now, fired),
                    Err(TryLockError::WouldBlock) if worker == own => {
                        shard.collect(&mut lock(&shard.wheel), now, fired);
                    }
                    Err(TryLockError::WouldBlock) => {}
                }
                sources += usize::from(fired.len() > before);
            }
            if sources > 1 {
                fired.sort_by_key(|&(deadline, _)| deadline);
            }
        })
    }
}

impl Drop for Timers {
    /// Empties the wheels: their wakers keep tasks alive, whose sleeps keep the wheels alive.
    fn drop(&mut self) {
        for shard in &self.shards {
            let mut dropped = Vec::new();
            lock(&shard.wheel).turn(u64::MAX, &mut dropped);
        }
    }
}

/// Runs `collect`, then wakes what it collected, in order; true if that was anything.
fn wake_collected(collect: impl FnOnce(&mut Fired)) -> bool {
    let mut fired = BUFFER.with(std::cell::Cell::take);
    collect(&mut fired);
    let any = !fired.is_empty();
    wake(&mut fired);
    fired.shrink_to(BUFFER_KEPT);
    BUFFER.with(|buffer| buffer.set(fired));
    any
}

/// Wakes all, also where one of them, a foreign one, panics.
fn wake(fired: &mut Fired) {
    let mut wakers = fired.drain(..);
    while let Err(payload) =
        catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(|(_, waker)| waker.wake())))
    {
        drop_payload(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Log;

    #[test]
    fn fires_one_workers_wheel_in_order_of_deadline() {
        let (timers, log) = (Timers::new(2, 0), Log::new());
        for (id, deadline) in [(3, 30), (1, 10), (4, 30), (2, 20), (9, 40)] {
            timers.shard(0).insert(deadline, log.waker(id));
        }
        timers.shard(1).insert(5, log.waker(8));
        assert_eq!((timers.next_deadline(), timers.shard(0).next()), (5, 10));
        assert!(!timers.fire_due(0, 9));
        assert!(timers.fire_due(0, 30));
        assert_eq!(log.take(), [1, 2, 3, 4]);
        assert_eq!((timers.next_deadline(), timers.shard(0).next()), (5, 40));
    }

    #[test]
    fn fires_all_wheels_in_order_across_them() {
        let (timers, log) = (Timers::new(3, 0), Log::new());
        for id in 0..9 {
            timers.shard(2 - id % 3).insert(id as u64 * 10, log.waker(id));
        }
        assert!(timers.fire_all(1, 75));
        assert_eq!(log.take(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(!timers.fire_all(0, 79) && timers.fire_all(0, 80));
        assert_eq!((log.take(), timers.next_deadline()), (vec![8], NEVER));
    }

    #[test]
    fn a_foreign_wheel_that_is_locked_is_left_for_later() {
        let (timers, log) = (Timers::new(2, 0), Log::new());
        timers.shard(0).insert(10, log.waker(0));
        timers.shard(1).insert(10, log.waker(1));
        {
            let _busy = lock(&timers.shard(1).wheel);
            assert!(timers.fire_all(0, 10));
        }
        assert_eq!((log.take(), timers.next_deadline()), (vec![0], 10));
        assert!(timers.fire_all(0, 10));
        assert_eq!((log.take(), timers.next_deadline()), (vec![1], NEVER));
    }

    #[test]
    fn a_waker_that_panics_does_not_keep_the_others_asleep() {
        struct Panics;
        impl std::task::Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a foreign waker");
            }
        }
        let (timers, log) = (Timers::new(1, 0), Log::new());
        timers.shard(0).insert(1, log.waker(1));
        timers.shard(0).insert(2, Waker::from(Arc::new(Panics)));
        timers.shard(0).insert(3, log.waker(3));
        assert!(timers.fire_due(0, 3));
        assert_eq!(log.take(), [1, 3]);
    }

    #[test]
    fn wakers_may_use_the_timers() {
        struct Again(Arc<Shard>, Log);
        impl std::task::Wake for Again {
            fn wake(self: Arc<Self>) {
                self.0.insert(20, self.1.waker(2));
            }
        }
        let (timers, log) = (Timers::new(1, 0), Log::new());
        timers.shard(0).insert(10, Waker::from(Arc::new(Again(Arc::clone(timers.shard(0)), log.clone()))));
        assert!(timers.fire_due(0, 10));
        assert_eq!(timers.shard(0).next(), 20);
        assert!(timers.fire_due(0, 20));
        assert_eq!(log.take(), [2]);
    }

    #[test]
    fn the_exact_deadline_forgets_the_cancelled() {
        let (timers, log) = (Timers::new(2, 0), Log::new());
        let (key, _) = timers.shard(0).insert(10, log.waker(0));
        timers.shard(1).insert(20, log.waker(1));
        drop(timers.shard(0).cancel(key));
        assert_eq!((timers.next_deadline(), timers.earliest()), (10, 20));
        assert!(!timers.fire_all(0, 10));
        assert_eq!(timers.next_deadline(), 20);
    }

    #[test]
    fn dropping_the_timers_drops_the_wakers_though_shards_live_on() {
        let (timers, log) = (Timers::new(1, 0), Log::new());
        let shard = Arc::clone(timers.shard(0));
        let (key, _) = shard.insert(NEVER, log.waker(0));
        assert_eq!(log.wakers(), 1);
        drop(timers);
        assert_eq!(log.wakers(), 0);
        assert!(shard.cancel(key).is_none());
    }
}
