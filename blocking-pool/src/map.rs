//! The values of one function for many items.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::job::Job;
use crate::job_error::JobError;

/// The values of [`ThreadPoolExecutor::map`](crate::ThreadPoolExecutor::map), in the order of the items.
///
/// Awaiting it gives all of them, [`next`](Self::next) one after the other; it is a [`Stream`] as well. Values that are
/// not fetched wait, so there is no limit to what a map may hold: give it few items at a time if they are large.
///
/// | | |
/// |---|---|
/// | runs | all calls, as many at once as the pool has threads, whether or not anybody fetches values |
/// | a call panics | the panic goes on where its value would be fetched; the calls that have not begun are withdrawn |
/// | dropped | the calls that have not begun are withdrawn, the others end, and their values are dropped |
/// | a shutdown withdraws calls | where their values would be fetched, a cancellation is raised |
#[must_use = "calls that have not begun when it is dropped are withdrawn; await it"]
pub struct Map<T> {
    /// Of the values that were not fetched, the first in front.
    jobs: VecDeque<Job<T>>,
}

impl<T> Map<T> {
    pub(crate) fn new(jobs: VecDeque<Job<T>>) -> Map<T> {
        Map { jobs }
    }

    /// The next value; `None` after the last.
    ///
    /// # Cancellation
    ///
    /// No value is lost: dropping the future leaves it to the next call.
    ///
    /// # Panics
    ///
    /// If the call panicked, with its panic.
    // Not an iterator's: there is something to wait for.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> MapNext<'_, T> {
        MapNext { map: self }
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(job) = self.jobs.front_mut() else { return Poll::Ready(None) };
        match ready!(job.poll_outcome(cx)) {
            Ok(value) => {
                self.jobs.pop_front();
                Poll::Ready(Some(value))
            }
            // It stays in front: whoever catches the cancellation and asks again gets it again.
            Err(JobError::Cancelled) => job.raise_withdrawn(cx).map(Some),
            Err(error) => {
                self.jobs.clear();
                error.resume()
            }
        }
    }
}

impl<T> Stream for Map<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_value(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.jobs.len(), Some(self.jobs.len()))
    }
}

impl<T> IntoFuture for Map<T> {
    type Output = Vec<T>;
    type IntoFuture = MapAll<T>;

    fn into_future(self) -> MapAll<T> {
        MapAll { values: Vec::with_capacity(self.jobs.len()), map: self }
    }
}

impl<T> fmt::Debug for Map<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("left", &self.jobs.len()).finish()
    }
}

/// The future of a map's next value; made by [`Map::next`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct MapNext<'a, T> {
    map: &'a mut Map<T>,
}

impl<T> Future for MapNext<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.map.poll_value(cx)
    }
}

/// The future of all values of a map; made by awaiting a [`Map`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct MapAll<T> {
    map: Map<T>,
    /// Those that have come.
    values: Vec<T>,
}

// Values are moved, never pinned.
impl<T> Unpin for MapAll<T> {}

impl<T> Future for MapAll<T> {
    type Output = Vec<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<T>> {
        while let Some(value) = ready!(self.map.poll_value(cx)) {
            self.values.push(value);
        }
        Poll::Ready(std::mem::take(&mut self.values))
    }
}

impl<T> fmt::Debug for MapAll<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapAll")
            .field("come", &self.values.len())
            .field("left", &self.map.jobs.len())
            .finish()
    }
}
