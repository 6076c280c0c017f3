//! The queue of jobs that have not begun: crossbeam's channel, or a model of it under loom.

use std::sync::Arc;

use crate::slot::Run;

/// What the pool threads take from the queue.
pub(crate) type Runnable = Arc<dyn Run>;

pub(crate) use imp::Queue;

#[cfg(not(kumihimo_loom))]
mod imp {
    use crossbeam_channel::{Receiver, Sender, unbounded};

    use super::Runnable;

    /// A FIFO queue for many producers and many consumers. The waiting is done elsewhere (`crew.rs`).
    pub(crate) struct Queue {
        /// Both ends live as long as the queue, so neither ever finds the other gone.
        sender: Sender<Runnable>,
        receiver: Receiver<Runnable>,
    }

    impl Queue {
        pub(crate) fn new() -> Queue {
            let (sender, receiver) = unbounded();
            Queue { sender, receiver }
        }

        #[inline]
        pub(crate) fn push(&self, job: Runnable) {
            self.sender.send(job).expect("the queue owns its receiver");
        }

        #[inline]
        pub(crate) fn pop(&self) -> Option<Runnable> {
            self.receiver.try_recv().ok()
        }

        #[inline]
        pub(crate) fn is_empty(&self) -> bool {
            self.receiver.is_empty()
        }

        pub(crate) fn len(&self) -> usize {
            self.receiver.len()
        }
    }
}

#[cfg(kumihimo_loom)]
mod imp {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use super::Runnable;
    use crate::sync::AtomicUsize;

    /// The channel's twin: who takes a job sees what came before its push, and that is all. A look at the length may be out of
    /// date unless fences forbid it.
    pub(crate) struct Queue {
        /// How many jobs others may know of. All ordering comes from here.
        length: AtomicUsize,
        /// The jobs. loom never switches threads inside of std's lock, so this orders nothing in a model.
        jobs: Mutex<VecDeque<Runnable>>,
    }

    impl Queue {
        pub(crate) fn new() -> Queue {
            Queue { length: AtomicUsize::new(0), jobs: Mutex::new(VecDeque::new()) }
        }

        pub(crate) fn push(&self, job: Runnable) {
            // In this order, and without a switch in between, or a job could be taken by the release of another.
            self.length.fetch_add(1, Release);
            self.jobs.lock().unwrap().push_back(job);
        }

        pub(crate) fn pop(&self) -> Option<Runnable> {
            let mut length = self.len();
            while length > 0 {
                match self.length.compare_exchange(length, length - 1, Acquire, Relaxed) {
                    Ok(_) => return self.jobs.lock().unwrap().pop_front(),
                    Err(seen) => length = seen,
                }
            }
            None
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            self.length.load(Relaxed)
        }
    }
}
