//! A counter that several tasks change: an update is lost across an await.

use kumihimo as asyncio;
use kumihimo::Lock;
use kumihimo::model::sync::Arc;
use kumihimo::model::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Reads, does something that takes time, and writes: who wrote in between is forgotten.
pub async fn visit(visits: Arc<AtomicU32>) {
    let before = visits.load(SeqCst);
    asyncio::yield_now().await; // A query, say.
    visits.store(before + 1, SeqCst);
}

/// The same under a lock, which is held across the await.
pub async fn visit_repaired(visits: Arc<Lock<u32>>) {
    let mut visits = visits.acquire().await;
    let before = *visits;
    asyncio::yield_now().await;
    *visits = before + 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(kumihimo_loom)]
    #[should_panic(expected = "a visit was lost")]
    fn a_visit_is_lost() {
        asyncio::model(|| async {
            let visits = Arc::new(AtomicU32::new(0));
            asyncio::gather((visit(visits.clone()), visit(visits.clone()))).await;
            assert_eq!(visits.load(SeqCst), 2, "a visit was lost");
        });
    }

    #[test]
    fn no_visit_is_lost() {
        asyncio::model(|| async {
            let visits = Arc::new(Lock::with_value(0));
            asyncio::gather((visit_repaired(visits.clone()), visit_repaired(visits.clone()))).await;
            assert_eq!(*visits.acquire().await, 2);
        });
    }
}
