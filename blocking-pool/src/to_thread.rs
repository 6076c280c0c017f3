//! `to_thread`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::current::current;
use crate::job::Job;

/// Runs a blocking function in the running loop's default pool, and gives its value.
///
/// Nothing happens before the future is awaited (or becomes a task). A panic of the function goes on at the await.
///
/// ```
/// use futures_lite::future::block_on;
/// use kumihimo_blocking_pool::{ThreadPool, enter, to_thread};
///
/// # let pool = ThreadPool::new();
/// # let _loop = enter(&pool);
/// # block_on(async {
/// let manifest = to_thread(|| std::fs::read_to_string("Cargo.toml")).await?;
/// assert!(manifest.contains("[package]"));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// # Cancellation
///
/// A function that waits for a free thread is withdrawn and never runs. One that has begun can't be stopped: it runs
/// to its end, and its result is dropped in the pool thread.
///
/// # Panics
///
/// When first polled outside of a running loop, or after its default pool was shut down.
#[doc(alias = "asyncio.to_thread")]
pub fn to_thread<F, T>(f: F) -> ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    ToThread { step: Step::Waiting(f) }
}

/// The future of [`to_thread`].
#[must_use = "futures do nothing unless awaited: the function does not run before that"]
pub struct ToThread<F, T> {
    step: Step<F, T>,
}

enum Step<F, T> {
    /// Not polled yet.
    Waiting(F),
    /// Submitted; the job says what happens when it is polled once too often.
    Submitted(Job<T>),
    /// The submission panicked.
    Failed,
}

// The closure is moved out before it is called, never pinned.
impl<F, T> Unpin for ToThread<F, T> {}

impl<F, T> Future for ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Step::Waiting(_) = self.step
            && let Step::Waiting(f) = std::mem::replace(&mut self.step, Step::Failed)
        {
            self.step = Step::Submitted(submit(f));
        }
        match &mut self.step {
            Step::Submitted(job) => Pin::new(job).poll(cx),
            _ => panic!("`to_thread` was awaited again after it had panicked"),
        }
    }
}

fn submit<F, T>(f: F) -> Job<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Some(pool) = current() else {
        panic!(
            "`to_thread` was awaited where no kumihimo loop runs: await it in a task of `kumihimo::run`, or use \
             `ThreadPool::submit`, which works anywhere"
        );
    };
    pool.submit(f)
}

impl<F, T> fmt::Debug for ToThread<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let submitted = matches!(self.step, Step::Submitted(_));
        f.debug_struct("ToThread").field("submitted", &submitted).finish()
    }
}
