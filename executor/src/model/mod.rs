//! Users' models: a runtime on loom's threads, every choice of which is explored.
//!
//! Tasks, their states, cancellation and all that is built on them are the real ones. What takes the place of the workers'
//! queues and of their sleeping is one list of all that is ready ([`queue`]): how the real ones work is proved elsewhere, and
//! would multiply what there is to explore. Which of the ready tasks goes first, when a timer fires, and who is polled for
//! nothing, is decided by a [`tape`] of choices, which the caller goes through. A [`trace`] remembers what happened.
//!
//! All of it is kept in std's thread-locals and locks: loom runs its threads on one thread of the system, and switches only
//! where they touch what is loom's. So this is no part of what is explored.

pub mod foreign;
pub mod memory;
mod queue;
pub mod strike;
pub mod tape;
pub mod trace;
pub mod verdict;

pub(crate) use queue::Queue;
pub use queue::set_spurious;

/// The loop of this thread has a new timer, which may fire from now on: its workers look for it.
pub fn timer_is_set() {
    if let Some(shared) = crate::scheduler::shared_here()
        && let Some(model) = shared.model()
    {
        model.rouse();
    }
}

/// An execution begins.
pub fn rewind() {
    kumihimo_context::model::rewind();
    foreign::rewind();
    strike::rewind();
    tape::rewind();
    trace::rewind();
    verdict::rewind();
}
