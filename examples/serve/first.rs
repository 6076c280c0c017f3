//! Whichever comes first.

use std::future::Future;
use std::pin::pin;

use futures_util::future::select;

/// Runs two futures until one is ready, and drops the other; `a` wins where both are.
pub(crate) async fn first<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    select(pin!(a), pin!(b)).await.factor_first().0
}
