//! The default pool of the loop that runs on a thread.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::thread_pool::ThreadPool;

std::thread_local! {
    /// The default pool of the loop that runs on this thread.
    static CURRENT: RefCell<Option<ThreadPool>> = const { RefCell::new(None) };
}

/// Makes `pool` this thread's default pool until the guard is dropped.
///
/// A loop does so on each of its threads. Contexts nest: what was there before is restored.
pub fn enter(pool: &ThreadPool) -> Entered {
    Entered { outer: CURRENT.replace(Some(pool.clone())), _not_send: PhantomData }
}

/// This thread's default pool; `None` outside of a loop, and so in pool threads.
pub fn current() -> Option<ThreadPool> {
    CURRENT.with_borrow(Clone::clone)
}

/// Restores, when dropped, the default pool that this thread had before.
#[derive(Debug)]
#[must_use = "the pool is this thread's default only until the guard is dropped"]
pub struct Entered {
    /// The pool to restore.
    outer: Option<ThreadPool>,
    /// The guard belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The old value is dropped after the borrow: closing a pool is nobody's business here, but it may happen.
        let inner = CURRENT.replace(self.outer.take());
        drop(inner);
    }
}
