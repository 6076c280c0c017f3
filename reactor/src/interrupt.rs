//! Whether the thread that turns the reactor waits, and whether it must not: the protocol of `interrupt`.

use crate::sync::{AtomicUsize, Ordering};

/// Nobody waits, and nobody has asked for attention.
const IDLE: usize = 0;
/// A turn waits in the poller, or is about to.
const WAITING: usize = 1;
/// An interrupt was requested: the next turn that would wait only looks instead.
const REQUESTED: usize = 2;

/// One word that makes sure that a request either finds the waiter, and rings, or is found by it.
///
/// Every access is a read-modify-write, and those of one word have one order. So for a request R and a wait W:
///
/// - R before W's `begin_wait`: that finds `REQUESTED` and W does not wait.
/// - R after `begin_wait` and before `end_wait`: R finds `WAITING` and rings. The bell (an eventfd) remembers, so it
///   makes no difference whether W is already in the system call.
/// - R after `end_wait`: it stays in the word for the next wait.
///
/// Only the change from `WAITING` rings, so a wait is rung for at most once. The ring of a wait that ends by
/// itself may come late and cut the next one short: spurious, and rare.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// `IDLE`, `WAITING` or `REQUESTED`; only the turning thread begins and ends waits.
    state: AtomicUsize,
}

impl Interrupt {
    pub(crate) fn new() -> Interrupt {
        Interrupt { state: AtomicUsize::new(IDLE) }
    }

    /// Asks the waiter, or the next one, to return. True if the caller must ring the bell.
    ///
    /// One atomic swap: async-signal-safe.
    #[must_use = "a waiter that is not rung for sleeps on"]
    pub(crate) fn request(&self) -> bool {
        // Release: what the caller wrote before is seen by the waiter when it uses up this request (Acquire), or a later
        // one, which continues the release sequence.
        self.state.swap(REQUESTED, Ordering::Release) == WAITING
    }

    /// A turn is about to wait. False if it must not, because of a request, which is now used up.
    #[must_use = "a turn that waits in spite of a request loses it"]
    pub(crate) fn begin_wait(&self) -> bool {
        // Relaxed: without a request there is nothing to see. Only the one turning thread leaves REQUESTED.
        match self.state.compare_exchange(IDLE, WAITING, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(_) => {
                // Acquire: pairs with `request`. A swap, to acquire also from requests made in between.
                self.state.swap(IDLE, Ordering::Acquire);
                false
            }
        }
    }

    /// The wait is over. True if a request came while it lasted, which is now used up.
    pub(crate) fn end_wait(&self) -> bool {
        // Acquire: pairs with `request`.
        self.state.swap(IDLE, Ordering::Acquire) == REQUESTED
    }

    /// Uses up a request, if there is one, for a turn that looks without waiting.
    pub(crate) fn take(&self) -> bool {
        // Relaxed first look: a request that is not seen yet is found by the next turn. Acquire as in `end_wait`.
        self.state.load(Ordering::Relaxed) == REQUESTED
            && self.state.swap(IDLE, Ordering::Acquire) == REQUESTED
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::Interrupt;

    #[test]
    fn rings_once_per_wait() {
        let interrupt = Interrupt::new();
        assert!(interrupt.begin_wait());
        assert!(interrupt.request());
        assert!(!interrupt.request());
        assert!(interrupt.end_wait());
        assert!(!interrupt.take());
    }

    #[test]
    fn a_request_while_nobody_waits_is_kept_for_the_next_wait_and_rings_nothing() {
        let interrupt = Interrupt::new();
        assert!(!interrupt.request());
        assert!(!interrupt.begin_wait());
        assert!(interrupt.begin_wait());
        assert!(!interrupt.end_wait());
    }
}
