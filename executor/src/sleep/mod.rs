#![doc = include_str!("README.md")]

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};

mod parker;

pub(crate) use parker::Parkers;

/// How often the watcher looks after workers that do not come back from a poll. Short enough that a first offence is
/// not felt, long enough to cost nothing: 200 wake-ups per second, and none while all are idle.
pub(crate) const WATCH: Duration = Duration::from_millis(5);

/// `counts`: one idle worker.
const IDLE: u64 = 1;
const IDLE_MASK: u64 = 0xffff;
/// `counts`: one searching worker.
const SEARCHING: u64 = 1 << 16;
const SEARCHING_MASK: u64 = 0xffff << 16;
/// `counts`: somebody is the watcher.
const WATCHED: u64 = 1 << 32;
/// `counts`: one worker that has announced itself and takes its last look.
const LOOKING: u64 = 1 << 33;
const LOOKING_MASK: u64 = 0xffff << 33;

/// The most workers that a runtime can have.
pub(crate) const MAX_WORKERS: usize = 0xffff;

/// Who sleeps, who searches, and who has the baton. See the module's README.
pub(crate) struct Sleep {
    /// `IDLE`, `SEARCHING`, `WATCHED`, `LOOKING`. Changed under the lock of `inner` (but for the end of a search or of a
    /// last look), read without. Changes are SeqCst, though the fences would do for all but the last look's (see `settle`): in
    /// one order they leave less to think about, and models an eighth of the interleavings.
    counts: CachePadded<AtomicU64>,
    /// Who is where.
    inner: Mutex<Inner>,
    /// Turns made: shows the watcher that the poller is attended.
    turns: AtomicU64,
    /// Where idle workers sleep.
    parkers: Parkers,
}

#[derive(Default)]
struct Inner {
    /// Idle workers without the baton; the last to come is the first to go, as its caches are warm.
    sleepers: Vec<usize>,
    /// Who has the baton.
    holder: Option<Holder>,
    /// The sleeper, or waiting holder, that comes to look every [`WATCH`].
    watcher: Option<usize>,
    /// Nobody has left the poller since the watcher last found everybody idle.
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    worker: usize,
    /// It waits in the poller, and counts as idle. Otherwise it only looks, or was claimed and is about to come back.
    waiting: bool,
}

/// Where an idle worker is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Rest {
    /// In the poller: it has the baton.
    Poller {
        /// Everybody is idle, and nobody else is about to find work in a last look.
        alone: bool,
        /// It is the watcher.
        watch: bool,
    },
    /// On its parker.
    Parker {
        /// It is the watcher.
        watch: bool,
    },
    /// Nowhere: it was claimed for work, and counts as searching.
    Claimed,
}

impl Sleep {
    pub(crate) fn new(workers: usize) -> Sleep {
        Sleep {
            counts: CachePadded::new(AtomicU64::new(0)),
            inner: Mutex::new(Inner::default()),
            turns: AtomicU64::new(0),
            parkers: Parkers::new(workers),
        }
    }

    pub(crate) fn parkers(&self) -> &Parkers {
        &self.parkers
    }

    // ---- those who have work to give

    /// There is new work that any worker may take: wakes one, unless somebody is searching already.
    #[inline]
    pub(crate) fn notify(&self, interrupt: impl Fn()) {
        // The push comes before this fence, the sleeper's last look after its own: one of the two sees the other.
        fence(SeqCst);
        let counts = self.counts.load(Relaxed);
        if counts & IDLE_MASK != 0 && counts & SEARCHING_MASK == 0 {
            self.wake_many(1, None, interrupt);
        }
    }

    /// As [`notify`](Self::notify), for work that this worker will come to by itself, soon: without the fence, so a
    /// worker that is just falling asleep may be missed.
    #[inline]
    pub(crate) fn hint(&self, interrupt: impl Fn()) {
        let counts = self.counts.load(Relaxed);
        if counts & IDLE_MASK != 0 && counts & SEARCHING_MASK == 0 {
            self.wake_many(1, None, interrupt);
        }
    }

    /// Wakes up to `most` workers, whoever is searching; not the worker `by`, which may be the baton's holder and found
    /// the work itself.
    #[cold]
    pub(crate) fn wake_many(&self, most: usize, by: Option<usize>, interrupt: impl Fn()) {
        for searching in 0..most {
            let mut inner = self.inner.lock();
            // Somebody may have been woken since we looked.
            if searching == 0 && most == 1 && self.counts.load(Relaxed) & SEARCHING_MASK != 0 {
                return;
            }
            if let Some(worker) = inner.sleepers.pop() {
                self.claim(&mut inner, worker);
                drop(inner);
                self.parkers.unpark(worker);
            } else if let Some(Holder { worker, waiting: true }) = inner.holder
                && by != Some(worker)
            {
                self.claim_holder(&mut inner, worker);
                drop(inner);
                return interrupt();
            } else {
                return;
            }
        }
    }

    /// There is work that only this worker may do: wakes it, if it sleeps.
    pub(crate) fn wake_worker(&self, worker: usize, interrupt: impl Fn()) {
        // As in `notify`.
        fence(SeqCst);
        if self.counts.load(Relaxed) & IDLE_MASK == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        if let Some(at) = inner.sleepers.iter().position(|sleeper| *sleeper == worker) {
            inner.sleepers.remove(at);
            self.claim(&mut inner, worker);
            drop(inner);
            self.parkers.unpark(worker);
        } else if inner.holder == Some(Holder { worker, waiting: true }) {
            self.claim_holder(&mut inner, worker);
            drop(inner);
            interrupt();
        }
    }

    /// Wakes everybody: the runtime pauses or stops.
    pub(crate) fn wake_all(&self, interrupt: impl Fn()) {
        // Without the fence of `notify`: who announces itself after this takes the lock after us, and sees why we woke all.
        let mut inner = self.inner.lock();
        while let Some(worker) = inner.sleepers.pop() {
            self.claim(&mut inner, worker);
            self.parkers.unpark(worker);
        }
        if let Some(Holder { worker, waiting: true }) = inner.holder {
            self.claim_holder(&mut inner, worker);
            drop(inner);
            interrupt();
        }
    }

    /// Some worker is in a poll and keeps a task from running: sees to it that somebody looks after it every [`WATCH`].
    #[inline]
    pub(crate) fn ensure_watch(&self, interrupt: impl Fn()) {
        // Relaxed: a missed watcher is appointed at the next occasion.
        let counts = self.counts.load(Relaxed);
        if counts & IDLE_MASK != 0 && counts & WATCHED == 0 {
            self.appoint(interrupt);
        }
    }

    #[cold]
    fn appoint(&self, interrupt: impl Fn()) {
        let mut inner = self.inner.lock();
        if inner.watcher.is_some() {
            return;
        }
        if let Some(&worker) = inner.sleepers.first() {
            self.set_watcher(&mut inner, Some(worker));
            drop(inner);
            self.parkers.unpark(worker);
        } else if let Some(Holder { worker, waiting: true }) = inner.holder {
            // It keeps waiting, but with a limit from now on.
            self.set_watcher(&mut inner, Some(worker));
            drop(inner);
            interrupt();
        }
    }

    /// A long poll is about to begin: gives the free baton to a sleeper first.
    pub(crate) fn hand_over(&self) {
        if self.counts.load(Relaxed) & IDLE_MASK == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        if inner.holder.is_some() {
            return;
        }
        if let Some(worker) = inner.sleepers.pop() {
            inner.holder = Some(Holder { worker, waiting: true });
            drop(inner);
            self.parkers.unpark(worker);
        }
    }

    // ---- workers that look in passing

    /// Takes the baton to look, not to wait. False if somebody has it.
    pub(crate) fn try_take_baton(&self, worker: usize) -> bool {
        let mut inner = self.inner.lock();
        if inner.holder.is_some() {
            return false;
        }
        inner.holder = Some(Holder { worker, waiting: false });
        true
    }

    /// Gives the baton back after looking.
    pub(crate) fn release_baton(&self, worker: usize) {
        // Relaxed: read by the watcher as a sign of life only.
        self.turns.fetch_add(1, Relaxed);
        let mut inner = self.inner.lock();
        debug_assert_eq!(inner.holder, Some(Holder { worker, waiting: false }));
        inner.holder = None;
        self.appoint_on_leaving(inner);
    }

    /// Turns made so far.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }

    // ---- workers that run out of work

    /// Begins to search, unless half of the workers search already.
    pub(crate) fn begin_search(&self, workers: usize) -> bool {
        let searching = (self.counts.load(Relaxed) & SEARCHING_MASK) / SEARCHING;
        if searching * 2 >= workers.max(2) as u64 {
            return false;
        }
        // SeqCst: see `Sleep::counts`.
        self.counts.fetch_add(SEARCHING, SeqCst);
        true
    }

    /// Begins to search, however many do: the worker has seen work, and those who search may not be running just now.
    pub(crate) fn join_search(&self) {
        self.counts.fetch_add(SEARCHING, SeqCst);
    }

    /// Ends a search. True if nobody searches now: then who found work must look again, and pass the word on.
    pub(crate) fn end_search(&self) -> bool {
        let before = self.counts.fetch_sub(SEARCHING, SeqCst);
        debug_assert!(before & SEARCHING_MASK != 0);
        let last = before & SEARCHING_MASK == SEARCHING;
        if last {
            // Pairs with the fence in `notify`: a pusher that still saw us searching pushed before our next look.
            fence(SeqCst);
        }
        last
    }

    /// The worker has found nothing and announces that it goes to sleep. It must look once more, and then
    /// [`settle`](Self::settle) and wait where it is told to, or [`withdraw`](Self::withdraw) and then settle.
    pub(crate) fn announce(&self, worker: usize, searching: bool) -> Rest {
        let mut inner = self.inner.lock();
        let less = if searching { SEARCHING } else { 0 };
        self.counts.fetch_add((IDLE + LOOKING).wrapping_sub(less), SeqCst);
        if inner.holder.is_none() {
            inner.holder = Some(Holder { worker, waiting: true });
        } else {
            inner.sleepers.push(worker);
        }
        let rest = self.place(&mut inner, worker, LOOKING);
        drop(inner);
        // The announcement comes before this fence, the last look after it; see `notify`.
        fence(SeqCst);
        rest
    }

    /// The last look has come to an end. Until then an idle worker may hold work that nobody else knows of, and a paused
    /// clock must not advance.
    pub(crate) fn settle(&self) {
        // SeqCst: in one order with what it looked at, so that it comes after the `look_again` of who took what it did not find.
        let before = self.counts.fetch_sub(LOOKING, SeqCst);
        debug_assert!(before & LOOKING_MASK != 0);
    }

    /// A worker that has settled looks around after all: it must settle again, as after the first look.
    pub(crate) fn look_again(&self) {
        // SeqCst: counted before it takes anything, for all who find that taken (see `settle`).
        self.counts.fetch_add(LOOKING, SeqCst);
    }

    /// Where an announced worker that has settled stands now.
    pub(crate) fn look_up(&self, worker: usize) -> Rest {
        self.place(&mut self.inner.lock(), worker, 0)
    }

    /// `own`: the worker's own last look, if that is still to come.
    fn place(&self, inner: &mut Inner, worker: usize, own: u64) -> Rest {
        let counts = self.counts.load(Relaxed);
        let alone = counts & IDLE_MASK == self.parkers.len() as u64 && counts & LOOKING_MASK == own;
        // While everybody is idle there is nobody to look after. But events that come often are each the end of such a
        // time, and to appoint a watcher at each costs more than to keep one: it goes after a whole period of silence.
        if alone && inner.watcher == Some(worker) && std::mem::replace(&mut inner.quiet, true) {
            self.set_watcher(inner, None);
        }
        let watch = inner.watcher == Some(worker);
        match inner.holder {
            Some(Holder { worker: holder, waiting: true }) if holder == worker => {
                // The watcher comes back, to find everybody still idle or not, before it waits without a limit.
                Rest::Poller { alone: alone && !watch, watch }
            }
            _ if inner.sleepers.contains(&worker) => Rest::Parker { watch },
            _ => Rest::Claimed,
        }
    }

    /// An announced worker stops being idle. True if it had been claimed, and counts as searching.
    pub(crate) fn withdraw(&self, worker: usize) -> bool {
        let mut inner = self.inner.lock();
        let (held, waited) = match inner.holder {
            Some(Holder { worker: holder, waiting }) if holder == worker => (true, waiting),
            _ => (false, false),
        };
        let slept = inner.sleepers.iter().position(|sleeper| *sleeper == worker);
        if let Some(at) = slept {
            inner.sleepers.remove(at);
        }
        if waited || slept.is_some() {
            self.counts.fetch_sub(IDLE, SeqCst);
        }
        let watched = inner.watcher == Some(worker);
        if watched {
            self.set_watcher(&mut inner, None);
        }
        if held {
            self.turns.fetch_add(1, Relaxed);
            inner.holder = None;
        }
        if held || watched {
            self.appoint_on_leaving(inner);
        }
        !waited && slept.is_none()
    }

    /// The watcher found the poller unattended: takes the baton. False if somebody has it after all.
    pub(crate) fn take_over(&self, worker: usize) -> bool {
        let mut inner = self.inner.lock();
        if inner.holder.is_some() {
            return false;
        }
        let Some(at) = inner.sleepers.iter().position(|sleeper| *sleeper == worker) else { return false };
        inner.sleepers.remove(at);
        inner.holder = Some(Holder { worker, waiting: true });
        true
    }

    // ---- under the lock

    /// An idle worker is wanted for work: from now on it counts as searching.
    fn claim(&self, inner: &mut Inner, worker: usize) {
        self.counts.fetch_add(SEARCHING - IDLE, SeqCst);
        if inner.watcher == Some(worker) {
            self.set_watcher(inner, None);
            self.appoint_on_leaving(inner);
        }
    }

    fn claim_holder(&self, inner: &mut Inner, worker: usize) {
        inner.holder = Some(Holder { worker, waiting: false });
        self.claim(inner, worker);
    }

    /// Nobody attends the poller any more, or watches, though somebody sleeps: that one comes to look from time to time.
    fn appoint_on_leaving(&self, mut inner: impl std::ops::DerefMut<Target = Inner>) {
        inner.quiet = false;
        if inner.watcher.is_none()
            && let Some(&worker) = inner.sleepers.first()
        {
            self.set_watcher(&mut inner, Some(worker));
            drop(inner);
            self.parkers.unpark(worker);
        }
    }

    fn set_watcher(&self, inner: &mut Inner, watcher: Option<usize>) {
        let was = inner.watcher.is_some();
        inner.watcher = watcher;
        match (was, watcher.is_some()) {
            (false, true) => self.counts.fetch_add(WATCHED, Relaxed),
            (true, false) => self.counts.fetch_sub(WATCHED, Relaxed),
            _ => 0,
        };
    }
}
