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
    use std::sync::atomic::Ordering::Relaxed;

    use super::Runnable;
    use crate::sync::{AtomicUsize, Mutex};

    /// The channel's twin: hands a job over with its memory, and promises nothing else. A look at the length may be
    /// out of date unless fences forbid it.
    pub(crate) struct Queue {
        length: AtomicUsize,
        jobs: Mutex<VecDeque<Runnable>>,
    }

    impl Queue {
        pub(crate) fn new() -> Queue {
            Queue { length: AtomicUsize::new(0), jobs: Mutex::new(VecDeque::new()) }
        }

        pub(crate) fn push(&self, job: Runnable) {
            let mut jobs = self.jobs.lock().unwrap();
            jobs.push_back(job);
            self.length.fetch_add(1, Relaxed);
        }

        pub(crate) fn pop(&self) -> Option<Runnable> {
            if self.is_empty() {
                return None;
            }
            let mut jobs = self.jobs.lock().unwrap();
            let job = jobs.pop_front();
            if job.is_some() {
                self.length.fetch_sub(1, Relaxed);
            }
            job
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn len(&self) -> usize {
            self.length.load(Relaxed)
        }
    }
}
