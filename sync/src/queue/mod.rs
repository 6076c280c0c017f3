//! Queues between tasks: first in first out, last in first out, smallest first.

mod errors;
mod order;
mod shared;
mod waits;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use kumihimo_context::model::atomic;

use crate::blocking::block_on;

pub use errors::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TooManyDone};
pub use order::{Fifo, Lifo, Order, Priority};
use shared::{Counts, Shared};
pub use waits::{Get, Join, Put};

/// A queue between tasks: asyncio's `Queue`.
///
/// [`put`](Self::put) waits while it is full, [`get`](Self::get) while it is empty; what can be done at once does not give way.
/// Waiters are woken in the order in which they came; who is woken looks again, and waits anew, at the end, if somebody else was
/// faster, as in asyncio. Any number of tasks and threads may put and get.
///
/// [`task_done`](Self::task_done) and [`join`](Self::join) count what is finished; [`shutdown`](Self::shutdown) ends the queue.
///
/// This is a handle: clones are the same queue. It gives first what was put first; a [`LifoQueue`] what was put last, a
/// [`PriorityQueue`] the smallest. A function that serves all three takes a `&Queue<T, O>` with any [`Order`]; a task gets a handle of
/// its own by `Queue::clone(&queue)`.
///
/// It works on any executor, and in plain threads with the `blocking_` forms.
///
/// ```
/// use kumihimo_sync::{Queue, QueueShutDown};
///
/// let queue = Queue::new(10); // Ten items at most; zero is no limit.
/// let consumer = std::thread::spawn({
///     let queue = queue.clone();
///     move || {
///         let mut sum = 0;
///         while let Ok(item) = queue.blocking_get() {
///             sum += item;
///             queue.task_done().unwrap();
///         }
///         sum
///     }
/// });
/// # futures_lite::future::block_on(async {
/// for item in 0..100 {
///     queue.put(item).await.unwrap();
/// }
/// queue.join().await;
/// queue.shutdown(false);
/// # });
/// assert_eq!(consumer.join().unwrap(), 4950);
/// assert_eq!(queue.blocking_put(1), Err(QueueShutDown));
/// ```
#[doc(alias = "asyncio.Queue")]
#[doc(alias = "channel")]
pub struct Queue<T, O: Order<T> = Fifo>(Arc<Shared<T, O>>);

/// What can be seen of a [`Queue`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatistics {
    /// Items in the queue.
    pub size: usize,
    /// So many fit; zero if there is no limit.
    pub maxsize: usize,
    /// Items that were put and not marked as done.
    pub unfinished: usize,
    /// So many wait for an item.
    pub getters: usize,
    /// So many wait for room.
    pub putters: usize,
    /// So many wait until all is done.
    pub joiners: usize,
    /// It was shut down.
    pub shut_down: bool,
}

impl<T> Queue<T> {
    /// A queue into which so many items fit; zero is no limit.
    ///
    /// Room is made as it is needed, whatever the limit.
    #[doc(alias = "asyncio.Queue")]
    #[cfg_attr(kumihimo_loom, track_caller)]
    pub fn new(maxsize: usize) -> Queue<T> {
        Queue(Arc::new(Shared::new(maxsize)))
    }
}

impl<T, O: Order<T>> Queue<T, O> {
    /// Puts an item into the queue, once there is room.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting has put nothing; if it had been woken, the next has the room. The same where the future
    /// is dropped; [`Put::into_item`] gets the item back. A future that was woken, and is kept without being polled, may hold up
    /// others who wait for room until a few more items are taken: on several workers not each item wakes one.
    ///
    /// # Errors
    ///
    /// If the queue was shut down, also while waiting. [`Put::into_item`] gets the item back.
    #[doc(alias = "asyncio.Queue.put")]
    #[doc(alias = "send")]
    pub fn put(&self, item: T) -> Put<'_, T, O> {
        Put::new(&self.0, item)
    }

    /// Puts an item into the queue, if there is room now.
    ///
    /// # Errors
    ///
    /// The item, if the queue is full or was shut down.
    ///
    /// ```
    /// use kumihimo_sync::{PutError, Queue, QueueFull};
    ///
    /// let queue = Queue::new(1);
    /// assert_eq!(queue.put_nowait('a'), Ok(()));
    /// assert_eq!(queue.put_nowait('b'), Err(PutError::Full(QueueFull('b'))));
    /// ```
    #[doc(alias = "asyncio.Queue.put_nowait")]
    #[doc(alias = "try_send")]
    pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        let _atomic = atomic();
        self.0.put_nowait(item).into_result()
    }

    /// Puts an item into the queue, blocking this thread until there is room.
    ///
    /// # Errors
    ///
    /// If the queue was shut down, also while waiting.
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_put(&self, item: T) -> Result<(), QueueShutDown> {
        block_on(self.put(item))
    }

    /// Takes an item out of the queue, once there is one.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting has taken nothing; if it had been woken, the item is the next one's. The same where the
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// If the queue was shut down and is empty, also while waiting.
    #[doc(alias = "asyncio.Queue.get")]
    #[doc(alias = "recv")]
    pub fn get(&self) -> Get<'_, T, O> {
        Get::new(&self.0)
    }

    /// Takes an item out of the queue, if there is one now.
    ///
    /// # Errors
    ///
    /// If there is none; and whether there will be.
    #[doc(alias = "asyncio.Queue.get_nowait")]
    #[doc(alias = "try_recv")]
    pub fn get_nowait(&self) -> Result<T, GetError> {
        let _atomic = atomic();
        Ok(self.0.try_take(|_| ())?)
    }

    /// Takes an item out of the queue, blocking this thread until there is one.
    ///
    /// # Errors
    ///
    /// If the queue was shut down and is empty, also while waiting.
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_get(&self) -> Result<T, QueueShutDown> {
        block_on(self.get())
    }

    /// Marks an item that was taken as done; to be called once for each. With the last, all who [join](Self::join) are woken
    /// within the call.
    ///
    /// # Errors
    ///
    /// If more were marked than were put. Nothing happens then.
    #[doc(alias = "asyncio.Queue.task_done")]
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        let _atomic = atomic();
        self.0.task_done()
    }

    /// Waits until every item that was put is marked as done; not at all if there is none.
    ///
    /// A [shut-down](Self::shutdown) does not end it: what is left in the queue has to be taken and marked, or dropped by an
    /// immediate one.
    ///
    /// # Cancellation
    ///
    /// Who is cancelled while waiting is forgotten.
    #[doc(alias = "asyncio.Queue.join")]
    pub fn join(&self) -> Join<'_, T, O> {
        Join::new(&self.0)
    }

    /// As [`join`](Self::join), blocking this thread for as long.
    ///
    /// # Panics
    ///
    /// In a task, whose worker it would block.
    #[track_caller]
    pub fn blocking_join(&self) {
        block_on(self.join());
    }

    /// Ends the queue: nothing can be put any more, and who waits to put gets an error.
    ///
    /// What is in it can be taken; after that, taking is an error, also for who waits for an item already. With `immediate` what is
    /// in it is dropped, and counts as done. Items that were taken are to be marked as done in both cases. Calling it again does no
    /// harm.
    ///
    /// All who waited are woken when this returns, however many they are.
    #[doc(alias = "asyncio.Queue.shutdown")]
    #[doc(alias = "close")]
    pub fn shutdown(&self, immediate: bool) {
        let _atomic = atomic();
        self.0.shut_down(immediate);
    }

    /// How many items are in the queue.
    #[doc(alias = "asyncio.Queue.qsize")]
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.0.counts().size
    }

    /// Whether nothing is in the queue.
    #[doc(alias = "asyncio.Queue.empty")]
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether as many items as fit are in the queue; never, without a limit.
    #[doc(alias = "asyncio.Queue.full")]
    #[doc(alias = "is_full")]
    pub fn full(&self) -> bool {
        self.maxsize() > 0 && self.qsize() >= self.maxsize()
    }

    /// How many items fit; zero if there is no limit.
    #[doc(alias = "asyncio.Queue.maxsize")]
    #[doc(alias = "capacity")]
    pub fn maxsize(&self) -> usize {
        self.0.maxsize
    }

    /// Everything that can be counted, at one moment.
    pub fn statistics(&self) -> QueueStatistics {
        let Counts { size, unfinished, getters, putters, joiners, shut_down } = self.0.counts();
        QueueStatistics { size, maxsize: self.maxsize(), unfinished, getters, putters, joiners, shut_down }
    }
}

impl<T, O: Order<T>> Clone for Queue<T, O> {
    fn clone(&self) -> Queue<T, O> {
        Queue(self.0.clone())
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue::new(0)
    }
}

impl<T, O: Order<T>> fmt::Debug for Queue<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statistics = self.statistics();
        f.debug_struct("Queue")
            .field("size", &statistics.size)
            .field("maxsize", &statistics.maxsize)
            .field("unfinished", &statistics.unfinished)
            .field("shut_down", &statistics.shut_down)
            .finish_non_exhaustive()
    }
}

/// The queues that differ in their order only.
macro_rules! ordered {
    ($(#[$meta:meta])* $queue:ident, $order:ident $(, $bound:ident)?) => {
        $(#[$meta])*
        pub struct $queue<T $(: $bound)?>(Queue<T, $order>);

        impl<T $(: $bound)?> $queue<T> {
            /// A queue into which so many items fit; zero is no limit.
            #[doc = concat!("\n```\nuse kumihimo_sync::", stringify!($queue), ";\n")]
            #[doc = concat!("let queue = ", stringify!($queue), "::new(0);")]
            /// queue.put_nowait(1).unwrap();
            /// assert_eq!(queue.get_nowait(), Ok(1));
            /// ```
            #[cfg_attr(kumihimo_loom, track_caller)]
            pub fn new(maxsize: usize) -> $queue<T> {
                $queue(Queue(Arc::new(Shared::new(maxsize))))
            }
        }

        impl<T $(: $bound)?> Deref for $queue<T> {
            type Target = Queue<T, $order>;

            fn deref(&self) -> &Queue<T, $order> {
                &self.0
            }
        }

        impl<T $(: $bound)?> Clone for $queue<T> {
            fn clone(&self) -> $queue<T> {
                $queue(self.0.clone())
            }
        }

        impl<T $(: $bound)?> Default for $queue<T> {
            fn default() -> $queue<T> {
                $queue::new(0)
            }
        }

        impl<T $(: $bound)?> fmt::Debug for $queue<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

ordered! {
    /// A [`Queue`] that gives first what was put last: asyncio's `LifoQueue`.
    ///
    /// Everything but its making is [`Queue`]'s.
    #[doc(alias = "asyncio.LifoQueue")]
    LifoQueue, Lifo
}

ordered! {
    /// A [`Queue`] that gives the smallest item first: asyncio's `PriorityQueue`.
    ///
    /// Everything but its making is [`Queue`]'s. Equal items come in no particular order: where they shall come as they were put, put
    /// a number beside them. For the largest first, there is [`Reverse`](std::cmp::Reverse).
    ///
    /// Items are compared while the queue is locked: an `Ord` must not use the queue. One that panics does so in who takes; no item
    /// is lost, and the order of what is in there may be another.
    ///
    /// ```
    /// use kumihimo_sync::PriorityQueue;
    ///
    /// let queue = PriorityQueue::new(0);
    /// for (number, (priority, job)) in [(2, "sweep"), (1, "cook"), (2, "dust")].into_iter().enumerate() {
    ///     queue.put_nowait((priority, number, job)).unwrap();
    /// }
    /// let jobs = std::iter::from_fn(|| queue.get_nowait().ok());
    /// assert_eq!(jobs.map(|(_, _, job)| job).collect::<Vec<_>>(), ["cook", "sweep", "dust"]);
    /// ```
    #[doc(alias = "asyncio.PriorityQueue")]
    PriorityQueue, Priority, Ord
}
