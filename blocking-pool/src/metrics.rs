//! What a pool tells about itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;

/// What a pool does at one moment, and has done; made by
/// [`ThreadPoolExecutor::metrics`](crate::ThreadPoolExecutor::metrics).
///
/// `threads`, `idle` and `running` belong to one moment; the others may be a moment older or younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// The most threads that there may be.
    pub max_workers: usize,
    /// Threads that there are.
    pub threads: usize,
    /// Threads without a job, or about to look for one.
    pub idle: usize,
    /// Threads that run a job or the initializer.
    pub running: usize,
    /// Jobs that wait for a thread, withdrawn ones included until their turn comes.
    pub queued: usize,
    /// Jobs that have run to their end since the pool was made, those that panicked included.
    pub completed: u64,
}

/// Counts the jobs that have ended, without a word that all threads write to.
// The standard library's atomics and lock, in models too: nothing is decided by these counts, and the lock is never held
// across anything that waits.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counters>);

#[derive(Default)]
struct Counters {
    /// What threads that have left counted.
    gone: u64,
    /// One for each thread.
    live: Vec<Arc<CachePadded<AtomicU64>>>,
}

/// One thread's part of the tally, which it alone writes to. Padded, lest threads share a cache line after all.
pub(crate) struct Counter(Arc<CachePadded<AtomicU64>>);

impl Counter {
    /// Counts a job.
    #[inline]
    pub(crate) fn count(&self) {
        // No read-modify-write: nobody else writes. Relaxed: it is a number and nothing more.
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }
}

impl Tally {
    /// A counter for the calling thread.
    pub(crate) fn join(&self) -> Counter {
        let counter = Arc::new(CachePadded::new(AtomicU64::new(0)));
        self.lock().live.push(Arc::clone(&counter));
        Counter(counter)
    }

    /// Takes the counter of a thread that leaves back.
    pub(crate) fn leave(&self, counter: Counter) {
        let mut counters = self.lock();
        counters.live.retain(|live| !Arc::ptr_eq(live, &counter.0));
        counters.gone += counter.0.load(Relaxed);
    }

    pub(crate) fn total(&self) -> u64 {
        let counters = self.lock();
        counters.gone + counters.live.iter().map(|live| live.load(Relaxed)).sum::<u64>()
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        // Nothing here panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
