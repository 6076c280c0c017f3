//! `Barrier`: so many meet, and go on together.

use std::fmt;
use std::sync::Arc;

use kumihimo_context::model::Made;

use crate::blocking::block_on;
use crate::condition::Condition;
use crate::lock::Lock;
use crate::sync::{Mutex, MutexGuard};

/// A place where a number of tasks meet: asyncio's `Barrier`.
///
/// [`wait`](Self::wait) waits until as many wait as the barrier has parties; then all go on, each with a number of its own, in
/// the order of arrival. After that it serves the next round. Who comes while a round is still leaving, waits for the next.
///
/// It works on any executor, and in plain threads with [`blocking_wait`](Self::blocking_wait). ([`reset`](Self::reset) and
/// [`abort`](Self::abort) are awaited: a thread calls them by its executor's `block_on`, or leaves them to a task.)
///
/// ```
/// use std::sync::Arc;
/// use kumihimo_sync::Barrier;
///
/// let barrier = Arc::new(Barrier::new(2));
/// let other = std::thread::spawn({
///     let barrier = barrier.clone();
///     move || barrier.blocking_wait().unwrap()
/// });
/// let mine = barrier.blocking_wait().unwrap();
/// assert_eq!(mine + other.join().unwrap(), 1); // One was first.
/// ```
#[doc(alias = "asyncio.Barrier")]
pub struct Barrier {
    parties: usize,
    /// Its lock orders what happens to the barrier; it guards no value, as who is dropped has to leave without it.
    condition: Condition,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    phase: Phase,
    /// So many have arrived and not left.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Parties arrive.
    Filling,
    /// All have arrived, and leave.
    Draining,
    /// Those who have arrived are thrown out, and leave.
    Resetting,
    /// Nobody can wait.
    Broken,
}

/// What can be seen of a [`Barrier`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierStatistics {
    /// So many meet.
    pub parties: usize,
    /// So many wait for the others.
    pub waiting: usize,
    /// Somebody has aborted it.
    pub broken: bool,
}

/// A barrier was aborted, or reset while this task waited there: asyncio's `BrokenBarrierError`.
#[doc(alias = "asyncio.BrokenBarrierError")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenBarrierError(());

impl fmt::Display for BrokenBarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the barrier is broken: somebody has aborted it, or reset it while this task was waiting; after a `reset()` it can \
             be used again",
        )
    }
}

impl std::error::Error for BrokenBarrierError {}

impl Barrier {
    /// A barrier for so many parties.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[doc(alias = "asyncio.Barrier")]
    #[track_caller]
    pub fn new(parties: usize) -> Barrier {
        assert!(parties > 0, "a barrier needs at least one party");
        let state = State { phase: Phase::Filling, count: 0 };
        let made = Made::here("the barrier");
        let condition = Condition::made(Arc::new(Lock::made((), made)), made);
        Barrier { parties, condition, state: Mutex::new(state) }
    }

    /// Waits for the others; gives a number from zero to one less than there are parties, in the order of arrival.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting, leaves; the barrier does not break, and waits for one more. (The next to arrive may then
    /// get a number that another has as well, as in asyncio.)
    ///
    /// # Errors
    ///
    /// If the barrier is broken, or is aborted or reset meanwhile.
    #[doc(alias = "asyncio.Barrier.wait")]
    pub async fn wait(&self) -> Result<usize, BrokenBarrierError> {
        let mut guard = self.condition.acquire().await;
        let leaving = || matches!(self.state().phase, Phase::Draining | Phase::Resetting);
        self.condition.wait_for(&mut guard, || !leaving()).await;
        if self.broken() {
            return Err(BrokenBarrierError(()));
        }
        // Leaves before the lock is released.
        let party = Party::arrive(self);
        if party.is_last {
            self.state().phase = Phase::Draining;
            self.condition.notify_all();
        } else {
            self.condition.wait_for(&mut guard, || self.state().phase != Phase::Filling).await;
            if matches!(self.state().phase, Phase::Broken | Phase::Resetting) {
                return Err(BrokenBarrierError(()));
            }
        }
        Ok(party.number)
    }

    /// As [`wait`](Self::wait), blocking this thread for as long.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_wait(&self) -> Result<usize, BrokenBarrierError> {
        block_on(self.wait())
    }

    /// Throws out who waits, with an error, and has the barrier begin anew; also one that is broken.
    ///
    /// # Cancellation
    ///
    /// Nothing has happened then.
    #[doc(alias = "asyncio.Barrier.reset")]
    pub async fn reset(&self) {
        let _guard = self.condition.acquire().await;
        {
            let mut state = self.state();
            state.phase = if state.count > 0 { Phase::Resetting } else { Phase::Filling };
        }
        self.condition.notify_all();
    }

    /// Breaks the barrier: who waits, or comes, gets an error, until somebody [resets](Self::reset) it.
    ///
    /// # Cancellation
    ///
    /// Nothing has happened then.
    #[doc(alias = "asyncio.Barrier.abort")]
    pub async fn abort(&self) {
        let _guard = self.condition.acquire().await;
        self.state().phase = Phase::Broken;
        self.condition.notify_all();
    }

    /// How many meet.
    #[doc(alias = "asyncio.Barrier.parties")]
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many wait for the others.
    #[doc(alias = "asyncio.Barrier.n_waiting")]
    pub fn n_waiting(&self) -> usize {
        let state = *self.state();
        if state.phase == Phase::Filling { state.count } else { 0 }
    }

    /// Whether somebody has aborted it.
    #[doc(alias = "asyncio.Barrier.broken")]
    pub fn broken(&self) -> bool {
        self.state().phase == Phase::Broken
    }

    /// Parties, those who wait, and whether it is broken.
    pub fn statistics(&self) -> BarrierStatistics {
        let State { phase, count } = *self.state();
        let waiting = if phase == Phase::Filling { count } else { 0 };
        BarrierStatistics { parties: self.parties, waiting, broken: phase == Phase::Broken }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { phase, count } = *self.state();
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("phase", &phase)
            .field("inside", &count)
            .finish()
    }
}

/// Somebody who has arrived, until it leaves.
struct Party<'a> {
    barrier: &'a Barrier,
    number: usize,
    is_last: bool,
}

impl<'a> Party<'a> {
    fn arrive(barrier: &'a Barrier) -> Party<'a> {
        let mut state = barrier.state();
        let number = state.count;
        state.count += 1;
        Party { barrier, number, is_last: state.count == barrier.parties }
    }
}

impl Drop for Party<'_> {
    fn drop(&mut self) {
        let mut state = self.barrier.state();
        state.count -= 1;
        if state.count > 0 {
            return;
        }
        if matches!(state.phase, Phase::Draining | Phase::Resetting) {
            state.phase = Phase::Filling;
        }
        drop(state);
        // Those who came while others were leaving.
        self.barrier.condition.notify_all_unlocked();
    }
}
