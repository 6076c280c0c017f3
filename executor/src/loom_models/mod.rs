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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Checks every interleaving with at most so many preemptions, and says how many there were.
fn check(preemptions: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` is for looking deeper.
    builder.preemption_bound = builder.preemption_bound.or(preemptions.into());
    builder.max_branches = 20_000;
    let (began, iterations) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let count = iterations.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a model");
    println!("{name}: {} interleavings, {:.1?}", iterations.load(Relaxed), began.elapsed());
}
