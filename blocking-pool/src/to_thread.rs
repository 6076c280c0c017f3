//! `to_thread`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use kumihimo_executor::{run_in_context, try_copy_context};

use crate::current::with_copy;
use crate::job::Job;

/// Runs a blocking function in the running loop's default executor, and gives its value.
///
/// Nothing happens before the future is awaited (or becomes a task). A panic of the function goes on at the await. The
/// function sees a copy of the context variables as they are when the await begins; what it sets stays in the thread.
///
/// ```
/// use futures_lite::future::block_on;
/// use kumihimo_blocking_pool::{DefaultExecutor, ThreadPoolExecutor, enter, to_thread};
///
/// # let executor = std::sync::Arc::new(DefaultExecutor::new(ThreadPoolExecutor::default()));
/// # let _loop = enter(&executor);
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
/// When first polled outside of a running loop, or after its default executor was shut down.
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
    let context = try_copy_context();
    let f = move || run_in_context(context.as_ref(), f);
    match with_copy(|here| here.map(|(_, copy)| copy.submit(f))) {
        Some(Ok(job)) => job,
        Some(Err(error)) => panic!("{error}"),
        None => panic!(
            "`to_thread` was awaited where no kumihimo loop runs: await it in a task of `kumihimo::run`, or use \
             `ThreadPoolExecutor::submit`, which works anywhere"
        ),
    }
}

impl<F, T> fmt::Debug for ToThread<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let submitted = matches!(self.step, Step::Submitted(_));
        f.debug_struct("ToThread").field("submitted", &submitted).finish()
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use futures_lite::future::block_on;
    use kumihimo_executor::ContextVar;

    use super::to_thread;
    use crate::{DefaultExecutor, Entered, ThreadPoolExecutor, enter};

    static NAME: ContextVar<&str> = ContextVar::with_default("name", "unset");

    fn swap(name: &'static str) -> Option<&'static str> {
        let seen = NAME.get();
        NAME.set(name);
        seen
    }

    fn enter_one_thread() -> Entered {
        enter(&Arc::new(DefaultExecutor::new(ThreadPoolExecutor::new(1))))
    }

    #[test]
    fn the_thread_gets_a_copy_of_the_context() {
        let _entered = enter_one_thread();
        let job = to_thread(|| swap("changed in the thread"));
        NAME.set("before the await");
        assert_eq!(block_on(job), Some("before the await"));
        assert_eq!(NAME.get(), Some("before the await"));
    }

    #[test]
    fn variables_do_not_stay_in_the_thread() {
        let _entered = enter_one_thread();
        assert_eq!(block_on(to_thread(|| swap("without a context"))), Some("unset"));
        assert_eq!(block_on(to_thread(|| swap("without a context"))), Some("unset"));
        let token = NAME.set("main");
        let panics = || {
            NAME.set("panics");
            panic!("once")
        };
        catch_unwind(AssertUnwindSafe(|| block_on(to_thread(panics)))).expect_err("it panics");
        NAME.reset(token);
        assert_eq!(block_on(to_thread(|| NAME.get())), Some("unset"));
    }
}
