//! What a queue refuses.

use std::error::Error;
use std::fmt;

/// Nothing is in the queue: asyncio's `QueueEmpty`.
#[doc(alias = "asyncio.QueueEmpty")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEmpty;

/// As many items as fit are in the queue; gives the item back: asyncio's `QueueFull`.
#[doc(alias = "asyncio.QueueFull")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueueFull<T>(pub T);

/// The queue was shut down: asyncio's `QueueShutDown`.
///
/// For who puts, from that moment on; for who takes, once nothing is left in it.
#[doc(alias = "asyncio.QueueShutDown")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueShutDown;

/// More items were marked as done than were put: asyncio's `ValueError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDone(pub(super) ());

/// Why [`put_nowait`](super::Queue::put_nowait) did not put an item, which it gives back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There is no room now.
    Full(QueueFull<T>),
    /// There will never be, as the queue was shut down.
    ShutDown(QueueShutDown, T),
}

/// Why [`get_nowait`](super::Queue::get_nowait) gave no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// There is none now.
    Empty(QueueEmpty),
    /// There will never be one, as the queue was shut down.
    ShutDown(QueueShutDown),
}

impl<T> QueueFull<T> {
    /// The item that did not fit.
    pub fn into_item(self) -> T {
        self.0
    }
}

impl<T> PutError<T> {
    /// The item that was not put.
    pub fn into_item(self) -> T {
        match self {
            PutError::Full(QueueFull(item)) | PutError::ShutDown(QueueShutDown, item) => item,
        }
    }

    /// Whether there may be room later.
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }
}

impl fmt::Display for QueueEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is empty: `get().await` waits for an item")
    }
}

impl<T> fmt::Display for QueueFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is full: `put(item).await` waits for room")
    }
}

impl fmt::Display for QueueShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was shut down: nothing more can be put, and nothing is left for who takes")
    }
}

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done() was called too often: once for each item that was put, at most")
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(error) => error.fmt(f),
            PutError::ShutDown(error, _) => error.fmt(f),
        }
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Empty(error) => error.fmt(f),
            GetError::ShutDown(error) => error.fmt(f),
        }
    }
}

// Without the item, which need not be `Debug`.
impl<T> fmt::Debug for QueueFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueFull(..)")
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "ShutDown(..)" })
    }
}

impl Error for QueueEmpty {}
impl<T> Error for QueueFull<T> {}
impl Error for QueueShutDown {}
impl Error for TooManyDone {}
impl<T> Error for PutError<T> {}
impl Error for GetError {}
