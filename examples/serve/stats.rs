//! What the server has done so far.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::listing::human;

/// Counters; each stands alone, so relaxed ordering is enough.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) connections: Counter,
    pub(crate) requests: Counter,
    /// Bytes of bodies handed to connections.
    pub(crate) bytes: Counter,
    /// Answers of 500 and above, and files that failed halfway.
    pub(crate) errors: Counter,
    /// Connections closed for what can't be understood as HTTP, or came too slowly.
    pub(crate) refused: Counter,
    /// Answers that the client didn't wait for.
    pub(crate) broken_off: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Stats {
    /// The last line the server prints.
    pub(crate) fn summary(&self, ran: Duration) -> impl fmt::Display {
        format!(
            "served {} requests, {} ({} bytes), over {} connections in {:.1} s; {} errors, {} refused, {} broken off",
            self.requests.get(),
            human(self.bytes.get()),
            self.bytes.get(),
            self.connections.get(),
            ran.as_secs_f64(),
            self.errors.get(),
            self.refused.get(),
            self.broken_off.get(),
        )
    }
}
