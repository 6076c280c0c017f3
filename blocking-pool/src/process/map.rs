//! One function, many items.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::What;
use super::error::ProcessError;
use super::job::ProcessJob;
use super::pool::ProcessPoolExecutor;

/// The results of one function for many items, in the order of the items; made by
/// [`ProcessPoolExecutor::map`].
///
/// Awaited, it gives all of them. One by one they come from [`next`](Self::next), or as a [`Stream`].
///
/// | | |
/// |---|---|
/// | begins | when it is first polled: then every item is submitted, or as many as [`buffersize`](Self::buffersize) allows |
/// | waits for | the results in order |
/// | on an error | gives it in its item's place (the first of its chunk), and withdraws what has not begun: it is over |
///
/// # Cancellation
///
/// Dropping it withdraws the calls that have not begun. `next` loses nothing.
#[doc(alias = "concurrent.futures.Executor.map")]
#[must_use = "nothing is submitted before the map is awaited or polled"]
pub struct ProcessMap<I, A, R> {
    pool: ProcessPoolExecutor,
    what: What,
    f: fn(A) -> R,
    /// `None` when the last item was submitted, or after an error.
    items: Option<I>,
    chunksize: usize,
    buffersize: usize,
    /// The calls, in order.
    jobs: VecDeque<ProcessJob<Vec<R>>>,
    /// What is left of the first chunk.
    ready: vec::IntoIter<R>,
}

// Nothing in there is pinned.
impl<I, A, R> Unpin for ProcessMap<I, A, R> {}

impl<I, A, R> ProcessMap<I, A, R>
where
    I: Iterator<Item = A>,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    pub(super) fn new(pool: ProcessPoolExecutor, what: What, f: fn(A) -> R, items: I) -> ProcessMap<I, A, R> {
        ProcessMap {
            pool,
            what,
            f,
            items: Some(items),
            chunksize: 1,
            buffersize: usize::MAX,
            jobs: VecDeque::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// How many items go into one call. By default one. More are faster where the function is short.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn chunksize(mut self, n: usize) -> ProcessMap<I, A, R> {
        assert!(n > 0, "a chunk needs at least one item: `chunksize` must be greater than zero");
        self.chunksize = n;
        self
    }

    /// How many items may be submitted whose results were not taken; a chunk is submitted as a whole. By default any number. For
    /// items that are many or large: more are drawn from the iterator as results are taken.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn buffersize(mut self, n: usize) -> ProcessMap<I, A, R> {
        assert!(n > 0, "at least one item has to be submitted: `buffersize` must be greater than zero");
        self.buffersize = n;
        self
    }

    /// The next result; `None` after the last, and after an error.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Result<R, ProcessError>> {
        poll_fn(|cx| self.poll_result(cx)).await
    }

    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R, ProcessError>>> {
        loop {
            if let Some(result) = self.ready.next() {
                return Poll::Ready(Some(Ok(result)));
            }
            self.submit();
            let Some(job) = self.jobs.front_mut() else { return Poll::Ready(None) };
            let outcome = ready!(Pin::new(job).poll(cx));
            self.jobs.pop_front();
            match outcome {
                Ok(results) => self.ready = results.into_iter(),
                Err(error) => {
                    self.items = None;
                    self.jobs.clear();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Submits as many items as may be.
    fn submit(&mut self) {
        while let Some(items) = &mut self.items
            && (self.jobs.is_empty() || self.jobs.len().saturating_mul(self.chunksize) < self.buffersize)
        {
            let chunk: Vec<A> = items.take(self.chunksize).collect();
            if chunk.len() < self.chunksize {
                self.items = None;
            }
            if !chunk.is_empty() {
                self.jobs.push_back(self.pool.submit_chunk(self.what, self.f, &chunk));
            }
        }
    }
}

impl<I, A, R> Stream for ProcessMap<I, A, R>
where
    I: Iterator<Item = A>,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    type Item = Result<R, ProcessError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_result(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let items = self.items.as_ref().map_or((0, Some(0)), Iterator::size_hint);
        // An error ends it early, and the last chunk may be smaller.
        let under_way = self.jobs.len().saturating_mul(self.chunksize).saturating_add(self.ready.len());
        (0, items.1.and_then(|most| most.checked_add(under_way)))
    }
}

impl<I, A, R> IntoFuture for ProcessMap<I, A, R>
where
    I: Iterator<Item = A>,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    type Output = Result<Vec<R>, ProcessError>;
    type IntoFuture = AllResults<I, A, R>;

    fn into_future(self) -> AllResults<I, A, R> {
        AllResults { map: self, results: Vec::new() }
    }
}

/// The future of all results of a [`ProcessMap`], or of the first error.
#[must_use = "nothing is submitted before the map is awaited or polled"]
pub struct AllResults<I, A, R> {
    map: ProcessMap<I, A, R>,
    results: Vec<R>,
}

// Nothing in there is pinned.
impl<I, A, R> Unpin for AllResults<I, A, R> {}

impl<I, A, R> Future for AllResults<I, A, R>
where
    I: Iterator<Item = A>,
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + 'static,
{
    type Output = Result<Vec<R>, ProcessError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(result) = ready!(self.map.poll_result(cx)) {
            self.results.push(result?);
        }
        Poll::Ready(Ok(std::mem::take(&mut self.results)))
    }
}

impl<I, A, R> fmt::Debug for ProcessMap<I, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessMap")
            .field("calls", &self.jobs.len())
            .field("chunksize", &self.chunksize)
            .finish_non_exhaustive()
    }
}

impl<I, A, R> fmt::Debug for AllResults<I, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllResults").field("map", &self.map).field("results", &self.results.len()).finish()
    }
}
