//! Every task of a runtime that has not ended: a slab per worker.
//!
//! A slot costs eight bytes, and leaving touches one line. Each entry stands for one reference, so who finds a task in
//! here finds it alive.

use std::ptr;

use crossbeam_utils::CachePadded;

use super::shard_lock::ShardLock;
use crate::task::TaskHandle;
use crate::task::header::{Header, Place, TaskRef};

/// One shard per worker, and one for everybody else.
pub(crate) struct Registry {
    shards: Box<[CachePadded<ShardLock<Shard>>]>,
}

struct Shard {
    /// Tasks; and in free slots the number of the next one, shifted, with the lowest bit set.
    slots: Vec<*mut Header>,
    /// The first free slot, or `NONE`.
    free: usize,
    /// Slots in use.
    live: usize,
    /// The loop is closed: no task may come in.
    closed: bool,
}

// SAFETY: the pointers stand for `TaskRef`s, which are `Send`.
unsafe impl Send for Shard {}

/// The end of the list of free slots.
const NONE: usize = usize::MAX >> 1;

impl Registry {
    pub(crate) fn new(shards: usize) -> Registry {
        let shard = || Shard { slots: Vec::new(), free: NONE, live: 0, closed: false };
        Registry { shards: (0..shards).map(|_| CachePadded::new(ShardLock::new(shard()))).collect() }
    }

    /// Enters a new task, which nobody else knows yet. False if the loop is closed.
    #[inline]
    pub(crate) fn insert(&self, shard: usize, task: TaskRef) -> bool {
        let place = |slot: usize| Place {
            shard: shard as u32,
            slot: u32::try_from(slot).expect("2^32 tasks at once"),
        };
        let mut shard = self.shards[shard].lock();
        if shard.closed {
            return false;
        }
        let slot = if shard.free == NONE { shard.slots.len() } else { shard.free };
        // SAFETY: nobody else has the task before it stands in its slot.
        unsafe { (*task.as_ptr()).place = place(slot) };
        if shard.free == NONE {
            shard.slots.push(task.as_ptr());
        } else {
            shard.free = shard.slots[slot].addr() >> 1;
            shard.slots[slot] = task.as_ptr();
        }
        shard.live += 1;
        true
    }

    /// Removes a task that has ended; its reference is the caller's to drop.
    #[inline]
    pub(crate) fn remove(&self, task: TaskRef) {
        let Place { shard, slot } = task.header().place;
        let mut shard = self.shards[shard as usize].lock();
        debug_assert_eq!(shard.slots[slot as usize], task.as_ptr());
        shard.slots[slot as usize] = ptr::without_provenance_mut(shard.free << 1 | 1);
        shard.free = slot as usize;
        shard.live -= 1;
        if shard.live == 0 && shard.slots.len() > SHRINK_ABOVE {
            // A burst is over: give its memory back.
            *shard = Shard { slots: Vec::new(), free: NONE, live: 0, closed: shard.closed };
        }
    }

    /// Handles of all tasks that have not ended.
    pub(crate) fn all(&self) -> Vec<TaskHandle> {
        let mut all: Vec<_> = (0..self.shards.len()).flat_map(|shard| self.shard(shard)).collect();
        all.retain(|task| !task.done() && !task.is_hidden());
        all
    }

    /// Tasks that have not ended. They change while they are counted.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().live).sum()
    }

    /// Handles of the tasks of one shard.
    ///
    /// The lock is given up after each chunk, for those who come and go meanwhile. A task never moves, so one that is
    /// there all the time is found, and found once.
    pub(crate) fn shard(&self, shard: usize) -> Vec<TaskHandle> {
        let mut found = Vec::new();
        for chunk in (0..).step_by(CHUNK) {
            let shard = self.shards[shard].lock();
            let Some(slots) = shard.slots.get(chunk..) else { break };
            if slots.is_empty() {
                break;
            }
            let tasks = slots.iter().take(CHUNK).filter(|slot| slot.addr() & 1 == 0);
            found.extend(tasks.map(|slot| TaskHandle::new(TaskRef::from_tagged(*slot))));
        }
        found
    }

    /// Number of shards.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Lets no task in any more. False, and nothing has changed, if some are left.
    pub(crate) fn close(&self) -> bool {
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.lock()).collect();
        let empty = shards.iter().all(|shard| shard.live == 0);
        if empty {
            shards.iter_mut().for_each(|shard| shard.closed = true);
        }
        empty
    }
}

/// Slots looked at under one lock.
const CHUNK: usize = 256;

/// Slots that an empty shard may keep.
const SHRINK_ABOVE: usize = 64 * 1024;
