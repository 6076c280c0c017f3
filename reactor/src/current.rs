//! Which reactor, and which of its workers, this thread is.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use crate::reactor::Shared;
use crate::sync::local;

/// What this thread is. Cells without a destructor, so that reading them is a plain load.
struct Current {
    /// The reactor, or null; a guard that is still open (or was leaked) keeps it alive.
    shared: Cell<*const Shared>,
    /// The thread's worker number in that reactor.
    worker: Cell<usize>,
    /// How many guards are open on this thread.
    depth: Cell<usize>,
    /// How many calls of `with_current` are in progress on this thread.
    borrows: Cell<usize>,
}

local! {
    static CURRENT: Current = Current {
        shared: Cell::new(ptr::null()),
        worker: Cell::new(0),
        depth: Cell::new(0),
        borrows: Cell::new(0),
    }
}

/// Calls `f` with the reactor of this thread and the thread's worker number; `None` if it is in no reactor.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Shared, usize) -> R) -> Option<R> {
    let (shared, worker) = CURRENT.with(|current| (current.shared.get(), current.worker.get()));
    if shared.is_null() {
        return None;
    }
    let _borrow = Borrow::new();
    // SAFETY: `enter` wrote the pointer, and its guard owns an `Arc` of what it points to. Before the guard gives
    // that up, it takes the pointer away (so we did not see it), unless it is dropped while a borrow is open (by
    // `f`) or out of turn; then it leaks the `Arc`.
    let shared = unsafe { &*shared };
    Some(f(shared, worker))
}

/// The reactor of this thread.
pub(crate) fn current() -> Option<Arc<Shared>> {
    let shared = CURRENT.with(|current| current.shared.get());
    if shared.is_null() {
        return None;
    }
    // SAFETY: the pointer came from `Arc::as_ptr` and is alive, as in `with_current`; nothing runs in between.
    unsafe {
        Arc::increment_strong_count(shared);
        Some(Arc::from_raw(shared))
    }
}

/// Counts a `with_current` in progress, so that a guard dropped inside of it frees nothing.
struct Borrow;

impl Borrow {
    #[inline]
    fn new() -> Borrow {
        CURRENT.with(|current| current.borrows.set(current.borrows.get() + 1));
        Borrow
    }
}

impl Drop for Borrow {
    #[inline]
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrows.set(current.borrows.get() - 1));
    }
}

/// Makes this thread worker `worker` of `shared` until the guard is dropped.
pub(crate) fn enter(shared: Arc<Shared>, worker: usize) -> Entered {
    CURRENT.with(|current| {
        let depth = current.depth.get() + 1;
        current.depth.set(depth);
        Entered {
            outer_shared: current.shared.replace(Arc::as_ptr(&shared)),
            outer_worker: current.worker.replace(worker),
            depth,
            shared: Some(shared),
            not_send: PhantomData,
        }
    })
}

/// This thread is a worker of a reactor while the guard lives: made by [`Reactor::enter`](crate::Reactor::enter).
///
/// Guards nest: dropping one restores what the thread was before.
///
/// # Panics
///
/// Dropping an outer guard before an inner one panics.
#[must_use = "the thread leaves the reactor when the guard is dropped"]
pub struct Entered {
    /// Keeps what the thread-local points to alive. `None` only during the drop.
    shared: Option<Arc<Shared>>,
    /// What the thread was before: restored on drop; alive, because the guard that wrote it outlives this one
    /// (or has leaked it).
    outer_shared: *const Shared,
    /// The worker number that goes with `outer_shared`.
    outer_worker: usize,
    /// The number of guards on this thread, this one included, when it was made.
    depth: usize,
    /// A guard speaks of the thread it was made on, so it must stay there.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let shared = self.shared.take();
        let in_turn = CURRENT.with(|current| {
            if current.depth.get() != self.depth {
                return false;
            }
            current.depth.set(self.depth - 1);
            current.shared.set(self.outer_shared);
            current.worker.set(self.outer_worker);
            true
        });
        let borrowed = CURRENT.with(|current| current.borrows.get() != 0);
        if !in_turn || borrowed {
            // An inner guard will restore our pointer, or somebody below us on the stack uses it: it must stay valid.
            std::mem::forget(shared);
        }
        assert!(
            in_turn || std::thread::panicking(),
            "a reactor's `Entered` guard was dropped before one that was made after it: drop guards in reverse order"
        );
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("depth", &self.depth).finish_non_exhaustive()
    }
}
