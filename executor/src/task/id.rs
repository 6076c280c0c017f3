//! Task ids.

use std::fmt;

/// A number that no two tasks of the process share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u64);

impl TaskId {
    /// No task: ids count from one.
    pub(crate) const NONE: TaskId = TaskId(0);

    /// The creator of tasks that are the runtime's own business.
    pub(crate) const HIDDEN: TaskId = TaskId(u64::MAX);

    /// The creator of promises, which are tasks without a body.
    pub(crate) const PROMISE: TaskId = TaskId(u64::MAX - 1);

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Ids taken from the process's counter in blocks, so that workers do not share a line for each task.
#[derive(Debug, Default)]
pub(crate) struct IdBlock {
    /// The next id of the block.
    next: u64,
    /// The first id past it.
    end: u64,
}

/// How many ids a worker takes at a time.
const BLOCK: u64 = 1024;

// Plain std also under loom: the counter synchronises nothing.
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

impl IdBlock {
    #[inline]
    pub(crate) fn next(&mut self) -> TaskId {
        if self.next == self.end {
            self.next = NEXT.fetch_add(BLOCK, std::sync::atomic::Ordering::Relaxed);
            self.end = self.next + BLOCK;
        }
        self.next += 1;
        TaskId(self.next - 1)
    }
}

/// An id for a task made by a thread that is no worker.
pub(crate) fn foreign() -> TaskId {
    TaskId(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
