//! Model checking: a user's async code, run in every order that can happen.
//!
//! [`model()`] runs a piece of async code again and again, each time in another interleaving of its tasks, until all have been
//! seen (within bounds that [`Builder`] sets). [loom](https://docs.rs/loom) explores what threads do; the tasks, locks, queues,
//! combinators and cancellations are kumihimo's own. Shared state of your own comes from [`sync`], so that loom sees it.
//!
//! ```
//! use kumihimo as asyncio;
//! use asyncio::model::sync::Arc;
//! use asyncio::model::sync::atomic::{AtomicU32, Ordering::SeqCst};
//!
//! asyncio::model(|| async {
//!     let visits = Arc::new(AtomicU32::new(0));
//!     let visit = |visits: Arc<AtomicU32>| async move { visits.fetch_add(1, SeqCst) };
//!     asyncio::gather!(visit(visits.clone()), visit(visits.clone())).await;
//!     assert_eq!(visits.load(SeqCst), 2);
//! });
//! ```
//!
//! With `RUSTFLAGS="--cfg kumihimo_loom"` that visits every interleaving; without, it runs once, on the real runtime, so the
//! same test may stay among the others. The guide is `docs/model-checking.md` in the repository: what is explored and what
//! is not, how to keep a model small, how to read and to replay a failure.

mod builder;
#[cfg(kumihimo_loom)]
mod explore;
#[cfg(kumihimo_loom)]
mod failure;
#[cfg(kumihimo_loom)]
mod replay;
#[cfg(kumihimo_loom)]
mod report;
pub mod sync;

pub use builder::{Builder, Exploration};

/// Runs async code in every order that can happen; panics if one of them fails, with the order that did.
///
/// The code fails if its future, or a task whose panic nobody looks at, panics; if all tasks wait and no timer is left; if
/// shared state of [`sync`] is used without synchronisation; or if it leaks. It must do the same each time it is run: no
/// randomness, no real time, no state that outlives the call.
///
/// The settings are those of [`Builder::new`].
///
/// # Panics
///
/// If an execution fails.
///
/// ```
/// use kumihimo as asyncio;
///
/// asyncio::model(|| async {
///     let event = asyncio::model::sync::Arc::new(asyncio::Event::new());
///     let waiter = asyncio::create_task({
///         let event = event.clone();
///         async move { event.wait().await }
///     });
///     event.set();
///     waiter.await;
/// });
/// ```
#[track_caller]
pub fn model<F, Fut>(code: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    Builder::new().check(code);
}
