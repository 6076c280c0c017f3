//! loom models of the executor's hand-made synchronisation: every interleaving of a few threads.
//!
//! They drive the production code; only the deques ([`deque`](crate::sync::deque)) and the driver are twins. Run them with
//! `cargo xtask loom`. Beside each model stand its preemption bound (how often a thread may be interrupted where it could
//! have gone on; "none" is exhaustive), the interleavings it has, and the time they took. `docs/verification.md` has the
//! table, and the mutations that each model was seen to catch.

mod awaiting;
mod cancelling;
mod closing;
mod lifo;
mod quarantine;
mod settling;
mod sleeping;
mod stage;
mod waking;
mod working;

use kumihimo_context::model::check;
