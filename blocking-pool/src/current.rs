//! The default executor of the loop that runs on a thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::default_executor::{Copy, DefaultExecutor};
use crate::sync::local;

local! {
    /// The default executor of the loop that runs on this thread.
    static CURRENT: RefCell<Option<Here>> = RefCell::new(None)
}

/// A default executor, and this thread's copy of what it is at the moment.
struct Here {
    executor: Arc<DefaultExecutor>,
    /// Spares the hot path the lock that all threads of the loop share.
    copy: Copy,
}

/// Makes `executor` this thread's default executor until the guard is dropped.
///
/// A loop does so on each of its threads. Contexts nest: what was there before is restored.
pub fn enter(executor: &Arc<DefaultExecutor>) -> Entered {
    let here = Here { copy: executor.copy(), executor: Arc::clone(executor) };
    Entered { outer: CURRENT.with(|current| current.replace(Some(here))), _not_send: PhantomData }
}

/// This thread's default executor; `None` outside of a loop, and so in pool threads.
pub fn current() -> Option<Arc<DefaultExecutor>> {
    CURRENT.with(|here| here.borrow().as_ref().map(|here| Arc::clone(&here.executor)))
}

/// Calls `f` with this thread's default executor, and what it is now; with `None` outside of a loop.
///
/// `f` runs no code of the user's: that could come back to here.
#[inline]
pub(crate) fn with_copy<R>(f: impl FnOnce(Option<(&DefaultExecutor, &Copy)>) -> R) -> R {
    let outdated =
        CURRENT.with(|here| here.borrow().as_ref().is_some_and(|here| !here.executor.is_current(&here.copy)));
    if outdated {
        refresh();
    }
    CURRENT.with(|here| f(here.borrow().as_ref().map(|here| (&*here.executor, &here.copy))))
}

#[cold]
fn refresh() {
    let old = CURRENT.with(|here| {
        let mut here = here.borrow_mut();
        here.as_mut().map(|here| std::mem::replace(&mut here.copy, here.executor.copy()))
    });
    // After the borrow: it may be the last handle of a pool, whose initializer is dropped, which is anybody's code.
    drop(old);
}

/// Restores, when dropped, the default executor that this thread had before.
#[must_use = "the executor is this thread's default only until the guard is dropped"]
pub struct Entered {
    /// The one to restore.
    outer: Option<Here>,
    /// The guard belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The old value is dropped after the borrow: closing a pool is nobody's business here, but it may happen.
        let inner = CURRENT.with(|current| current.replace(self.outer.take()));
        drop(inner);
    }
}

impl std::fmt::Debug for Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}
