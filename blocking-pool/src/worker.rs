//! What a pool thread does, and how it comes into being.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use kumihimo_executor::Spin;

use crate::crew::{Crew, Failure, Next, Summons};
use crate::job::JobError;
use crate::queue::{Queue, Runnable};
use crate::sleeper::Sleeper;
use crate::sync::{AtomicUsize, Builder};

/// How long a thread without a job spins, where that has been worth it: about the time in which the awaiter that it has
/// just woken gets to run and submits again.
const SPIN: Duration = Duration::from_micros(10);

/// What the threads of one pool share.
pub(crate) struct Shared {
    /// The jobs that have not begun.
    pub(crate) queue: Queue,
    /// Who does what.
    pub(crate) crew: Crew,
    /// How threads are made, and when they go.
    pub(crate) config: Config,
    /// The number that the next thread's name ends with.
    pub(crate) next_name: AtomicUsize,
}

/// The settings of a pool.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) max_workers: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: String,
    /// `None`: what the standard library takes.
    pub(crate) stack_size: Option<usize>,
}

impl Shared {
    /// Does what a summons asks for. False if the pool is closed.
    #[inline]
    pub(crate) fn answer(self: &Arc<Self>, summons: Summons) -> bool {
        match summons {
            Summons::None => {}
            Summons::Wake(sleeper) => sleeper.wake(),
            Summons::Start => self.start_thread(),
            Summons::Closed => return false,
        }
        true
    }

    #[cold]
    fn start_thread(self: &Arc<Self>) {
        let number = self.next_name.fetch_add(1, Relaxed);
        let mut builder = Builder::new().name(format!("{}-{number}", self.config.thread_name));
        if let Some(bytes) = self.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        let shared = Arc::clone(self);
        if let Err(error) = builder.spawn(move || shared.work()) {
            match self.crew.start_failed() {
                Failure::Covered => {}
                Failure::Wake(sleeper) => sleeper.wake(),
                Failure::Nobody => self.refuse_all(&error),
            }
        }
    }

    /// There is no thread, and none can be started: the jobs end with a panic that says so.
    #[cold]
    fn refuse_all(&self, error: &io::Error) {
        while let Some(job) = self.queue.pop() {
            let text = format!(
                "no thread could be started for a blocking job: {error}; raise the limit on threads, or lower the \
                 pool's stack size"
            );
            job.refuse(JobError::Panicked(Box::new(text)));
        }
    }

    /// The life of a pool thread, which counts as searching when it begins, and whenever it has no job.
    fn work(self: Arc<Self>) {
        let sleeper = Arc::new(Sleeper::new());
        let mut spin = Spin::new(SPIN);
        while let Some(job) = self.find(&sleeper, &mut spin) {
            job.run(&mut || self.crew.search());
        }
    }

    /// Searches for a job; without one, spins where that is worth it, then parks. `None` when it is time to leave.
    fn find(self: &Arc<Self>, sleeper: &Arc<Sleeper>, spin: &mut Spin) -> Option<Runnable> {
        let is_empty = || self.queue.is_empty();
        loop {
            if let Some(job) = self.queue.pop() {
                self.answer(self.crew.found(is_empty));
                return Some(job);
            }
            if spin.until(|| !is_empty()) {
                continue;
            }
            let began = Instant::now();
            if self.crew.park(sleeper, self.config.keep_alive, is_empty) == Next::Leave {
                return None;
            }
            spin.slept(began.elapsed());
        }
    }
}
