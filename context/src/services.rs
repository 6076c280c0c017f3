//! What an executor does for primitives, which know none.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Waker;

use crate::wait::WaitWord;

/// A future that runs beside the tasks, and that nobody sees.
pub type Hidden = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What an executor offers. Outside of its loops, and without an executor, the primitives do without.
pub struct Services {
    /// Whether this thread runs a loop in which all is done in one order, asyncio's.
    pub in_order: fn() -> bool,
    /// Whether the task that this waker wakes is suspended on this word and a request to cancel has come to it there. Where
    /// tasks run beside each other nobody can tell in time: false.
    pub is_cancelled: fn(&Waker, WaitWord) -> bool,
    /// Runs a future in the loop of this thread; gives it back where there is none, or where all is done in order.
    pub spawn_hidden: fn(Hidden) -> Result<(), Hidden>,
}

static SERVICES: OnceLock<Services> = OnceLock::new();

/// An executor offers its services; the first that does, does so for good.
pub fn provide(services: Services) {
    SERVICES.get_or_init(|| services);
}

/// Whether this thread runs a loop in which all is done in one order, asyncio's. Only there anybody can tell who was first.
pub fn in_order() -> bool {
    SERVICES.get().is_some_and(|services| (services.in_order)())
}

/// Whether who waits at this [place](WaitWord::queued), to be woken by `waker`, was cancelled there: as far as that is known
/// at once, which is on one thread.
pub fn is_cancelled(waker: &Waker, place: *const ()) -> bool {
    SERVICES.get().is_some_and(|services| (services.is_cancelled)(waker, WaitWord::queued(place)))
}

/// Runs a future in the loop of this thread, beside the tasks.
///
/// # Errors
///
/// The future, where there is no loop, or one in which all is done in order, at once.
pub fn spawn_hidden(future: Hidden) -> Result<(), Hidden> {
    match SERVICES.get() {
        Some(services) => (services.spawn_hidden)(future),
        None => Err(future),
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}
