//! What `run_in_executor` takes as an executor.

use std::convert::Infallible;

use kumihimo_blocking_pool::{Job, ThreadPool};

/// An executor for [`EventLoop::run_in_executor`](crate::EventLoop::run_in_executor): `None`, the loop's default thread
/// pool.
pub trait IntoExecutor {
    /// Submits the function.
    #[doc(hidden)]
    fn submit<F, T>(self, default: &ThreadPool, f: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;
}

impl IntoExecutor for Option<Infallible> {
    fn submit<F, T>(self, default: &ThreadPool, f: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        default.submit(f)
    }
}
