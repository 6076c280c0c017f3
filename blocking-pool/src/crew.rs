//! The threads of a pool: who is woken or started when a job comes, who parks, and who leaves.
//!
//! The aim is to spend no system call on a job that an awake thread will get to anyway, and to lose no job.
//!
//! A thread is *busy* (runs jobs and takes the next without ado), *searching* (looks for a job, briefly) or *parked*.
//! One rule is kept: **while a job is queued, somebody searches, or is about to [`summon`](Crew::summon), or every
//! thread that may exist is busy.** Those who could break it restore it:
//!
//! - A submitter pushes, then summons: if nobody searches, it wakes a parked thread or starts one, which counts as
//!   searching from then on. So at most one thread at a time is on its way, however many jobs come.
//! - The last thread to stop searching because it *found* a job summons the next if the queue is not empty. So a
//!   burst of long jobs wakes as many threads as it needs, one after another. (Threads in their initializer, which
//!   count as busy and search when they have left it, are on their way to as many jobs: see `worker.rs`.)
//! - One that stops searching because it found *nothing* counts itself as parked first, and then looks once more.
//! - One that leaves does so under the lock, for which a submitter comes that has seen it parked. From a closed pool it leaves
//!   only after one more look.
//!
//! Why no job is lost: a submitter writes the queue and then reads the counts; the others write the counts and then
//! read the queue; a SeqCst fence stands between the two steps on every side. So of two such parties at least one
//! sees what the other wrote. Closing is the same game: a submitter that does not see `CLOSED` has its job seen by
//! every thread that has seen `CLOSED`.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::counts::{CLOSED, Counts, PARKED, SEARCHING, THREAD};
use crate::quiet::quietly;
use crate::sleeper::Sleeper;
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, fence};

/// Who does what among the threads of one pool.
pub(crate) struct Crew {
    /// A [`Counts`]. `searching` changes at any time; `parked`, `threads` and `CLOSED` only under the lock.
    counts: CachePadded<AtomicUsize>,
    /// The lock, and what it guards.
    bench: Mutex<Bench>,
    /// Notified when the last thread of a closed pool leaves.
    ended: Condvar,
    /// `threads` never exceeds it.
    max_threads: usize,
}

/// What the lock guards.
struct Bench {
    /// The parked threads, the latest on top: it is woken first, so that those that are not needed time out.
    parked: Vec<Arc<Sleeper>>,
    /// Who waits for the last thread of a closed pool to leave.
    waiters: Vec<Waker>,
}

/// What a summoner has to do.
#[must_use]
pub(crate) enum Summons {
    /// Nothing: somebody will get to the job.
    None,
    /// Wake this thread.
    Wake(Arc<Sleeper>),
    /// Start a thread; if that fails, call [`Crew::start_failed`].
    Start,
    /// The pool is closed: nobody promises to look at the queue.
    Closed,
}

/// What a thread that could not be started leaves behind.
#[must_use]
pub(crate) enum Failure {
    /// The other threads will do.
    Covered,
    /// The other threads will do if this one is woken.
    Wake(Arc<Sleeper>),
    /// There is no thread at all: nobody will look at the queue.
    Nobody,
}

/// What a thread that found nothing does next.
#[must_use]
#[derive(PartialEq, Eq)]
pub(crate) enum Next {
    /// It searches again, and counts as searching.
    Search,
    /// It ends, and is not counted any more.
    Leave,
}

impl Crew {
    pub(crate) fn new(max_threads: usize) -> Crew {
        Crew {
            counts: CachePadded::new(AtomicUsize::new(0)),
            bench: Mutex::new(Bench { parked: Vec::new(), waiters: Vec::new() }),
            ended: Condvar::new(),
            max_threads,
        }
    }

    /// A snapshot of the counts, for a look that decides nothing by itself.
    pub(crate) fn counts(&self) -> Counts {
        Counts(self.counts.load(Relaxed))
    }

    /// Called by a submitter after a push.
    #[inline]
    pub(crate) fn summon(&self) -> Summons {
        // Pairs with the fences of `found`, `park` and `leave_if_closed`: they see our job or we see their counts.
        fence(SeqCst);
        let counts = self.counts();
        if counts.closed() {
            return Summons::Closed;
        }
        if self.covered(counts) { Summons::None } else { self.call(false) }
    }

    /// Called by a searching thread that has taken a job, with a way to look whether the queue needs nobody else.
    #[inline]
    pub(crate) fn found(&self, is_provided_for: impl Fn() -> bool) -> Summons {
        let before = Counts(self.counts.fetch_sub(SEARCHING, Relaxed));
        // Pairs with the fence of `summon`: a submitter sees that nobody searches any more, or we see its job.
        fence(SeqCst);
        if before.searching() > 1 || is_provided_for() || self.covered(self.counts()) {
            return Summons::None;
        }
        self.call(true)
    }

    /// Nobody needs to be called: somebody searches, or everybody is busy.
    #[inline]
    fn covered(&self, counts: Counts) -> bool {
        counts.searching() > 0 || (counts.parked() == 0 && counts.threads() >= self.max_threads)
    }

    /// Calls somebody. A member may also call after the pool was closed, for it keeps the pool from ending.
    #[cold]
    fn call(&self, member: bool) -> Summons {
        let mut bench = self.lock();
        let counts = self.counts();
        if counts.closed() && !member {
            return Summons::Closed;
        }
        if self.covered(counts) {
            return Summons::None;
        }
        match bench.parked.pop() {
            Some(sleeper) => {
                self.counts.fetch_add(SEARCHING.wrapping_sub(PARKED), Relaxed);
                Summons::Wake(sleeper)
            }
            None => {
                self.counts.fetch_add(THREAD + SEARCHING, Relaxed);
                Summons::Start
            }
        }
    }

    /// The thread that a `Summons::Start` asked for could not be started.
    pub(crate) fn start_failed(&self) -> Failure {
        let mut bench = self.lock();
        if let Some(sleeper) = bench.parked.pop() {
            // It takes over our place among the searching.
            self.counts.fetch_sub(THREAD + PARKED, Relaxed);
            return Failure::Wake(sleeper);
        }
        // Others may be searching or busy; they look at the queue before they park or leave. Were one of them to park
        // between the look of a submitter and this line, its own second look would find the job.
        if self.leave(bench, THREAD + SEARCHING) == 0 { Failure::Nobody } else { Failure::Covered }
    }

    /// A busy thread found the queue empty, and searches from now on.
    pub(crate) fn search(&self) {
        // Relaxed: a submitter that counts on us is covered by the fence in `park`, which follows if we find nothing.
        self.counts.fetch_add(SEARCHING, Relaxed);
    }

    /// A searching thread found nothing: parks it until there is something to search for, or something to leave for.
    pub(crate) fn park(
        &self,
        sleeper: &Arc<Sleeper>,
        keep_alive: Duration,
        queue_is_empty: impl Fn() -> bool,
    ) -> Next {
        let mut bench = self.lock();
        if self.counts().closed() {
            return self.leave_if_closed(bench, queue_is_empty);
        }
        bench.parked.push(Arc::clone(sleeper));
        self.counts.fetch_add(PARKED.wrapping_sub(SEARCHING), Relaxed);
        drop(bench);

        // Pairs with the fence of `summon`: a submitter sees that we are parked, or we see its job.
        fence(SeqCst);
        if !queue_is_empty() {
            let mut bench = self.lock();
            if bench.remove(sleeper) {
                self.counts.fetch_add(SEARCHING.wrapping_sub(PARKED), Relaxed);
                return Next::Search;
            }
        } else if !sleeper.sleep(keep_alive) {
            return self.leave_if_idle(sleeper);
        } else {
            return Next::Search;
        }
        // Called meanwhile: we count as searching already. The wake-up is taken, lest it end our next sleep.
        sleeper.sleep(Duration::MAX);
        Next::Search
    }

    /// A parked thread has slept long enough.
    #[cold]
    fn leave_if_idle(&self, sleeper: &Arc<Sleeper>) -> Next {
        let mut bench = self.lock();
        if !bench.remove(sleeper) {
            drop(bench);
            // Called at the last moment, as in `park`.
            sleeper.sleep(Duration::MAX);
            return Next::Search;
        }
        // A submitter that counts on us sees us parked, comes for the lock after us, and finds one thread fewer.
        self.leave(bench, THREAD + PARKED);
        Next::Leave
    }

    /// A searching thread saw that the pool is closed.
    #[cold]
    fn leave_if_closed(&self, bench: MutexGuard<'_, Bench>, queue_is_empty: impl Fn() -> bool) -> Next {
        // Pairs with the fence of `summon`: a submitter sees `CLOSED`, or we see its job.
        fence(SeqCst);
        if !queue_is_empty() {
            return Next::Search;
        }
        self.leave(bench, THREAD + SEARCHING);
        Next::Leave
    }

    /// One thread less. Returns how many are left, and tells those who wait if it was the last of a closed pool.
    fn leave(&self, mut bench: MutexGuard<'_, Bench>, what: usize) -> usize {
        let before = Counts(self.counts.fetch_sub(what, Relaxed));
        let left = before.threads() - 1;
        if left == 0 && before.closed() {
            let waiters = std::mem::take(&mut bench.waiters);
            drop(bench);
            self.ended.notify_all();
            waiters.into_iter().for_each(|waker| quietly(|| waker.wake()));
        }
        left
    }

    /// Closes the pool: nothing can be submitted, and threads leave when the queue is empty.
    pub(crate) fn close(&self) {
        let mut bench = self.lock();
        let sleepers = std::mem::take(&mut bench.parked);
        self.counts.fetch_or(CLOSED, Relaxed);
        self.counts.fetch_add(SEARCHING.wrapping_sub(PARKED).wrapping_mul(sleepers.len()), Relaxed);
        drop(bench);
        sleepers.iter().for_each(|sleeper| sleeper.wake());
    }

    /// Whether the pool is closed and its last thread gone; else `waker` is told when that is so.
    pub(crate) fn poll_ended(&self, waker: &Waker) -> bool {
        let mut bench = self.lock();
        if self.has_ended() {
            return true;
        }
        if !bench.waiters.iter().any(|known| known.will_wake(waker)) {
            bench.waiters.push(waker.clone());
        }
        false
    }

    /// Blocks until the pool has ended, or until `limit` has passed. Returns whether it has ended.
    pub(crate) fn wait_ended(&self, limit: Duration) -> bool {
        let end = Instant::now().checked_add(limit);
        let mut bench = self.lock();
        while !self.has_ended() {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            bench = self.ended.wait_timeout(bench, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// To be asked under the lock, or where the answer may be out of date.
    fn has_ended(&self) -> bool {
        let counts = self.counts();
        counts.closed() && counts.threads() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Bench> {
        // No foreign code runs under the lock that could leave the bench half changed; a waker's clone that panics
        // leaves it whole.
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bench {
    /// Takes a thread off the list; false if somebody has called it.
    fn remove(&mut self, sleeper: &Arc<Sleeper>) -> bool {
        let at = self.parked.iter().rposition(|parked| Arc::ptr_eq(parked, sleeper));
        at.map(|at| self.parked.remove(at)).is_some()
    }
}
