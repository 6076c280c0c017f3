//! What a pool thread does, and how it comes into being.

use std::cell::Cell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use kumihimo_executor::Spin;

use crate::crew::{Crew, Failure, Next, Summons};
use crate::job_error::{BrokenThreadPool, JobError};
use crate::metrics::Tally;
use crate::queue::{Queue, Runnable};
use crate::quiet::quietly;
use crate::sleeper::Sleeper;
use crate::sync::{AtomicUsize, Builder, Mutex, fence};

/// How long a thread without a job spins, where that has been worth it: about the time in which the awaiter that it has
/// just woken gets to run and submits again.
const SPIN: Duration = Duration::from_micros(10);

thread_local! {
    /// The pool whose thread this is: the address of its `Shared`, to be compared only.
    static POOL: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// What the threads of one pool share.
pub(crate) struct Shared {
    /// The jobs that have not begun.
    pub(crate) queue: Queue,
    /// Who does what.
    pub(crate) crew: Crew,
    /// How threads are made, and when they go.
    pub(crate) config: Config,
    /// The number that the next thread's name ends with.
    next_name: AtomicUsize,
    /// Threads that are in their initializer.
    initializing: AtomicUsize,
    /// How the initializer failed. Set before the crew is closed on account of it.
    broken: Mutex<Option<BrokenThreadPool>>,
    /// How many jobs have run.
    pub(crate) tally: Tally,
}

/// The settings of a pool.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) max_workers: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: String,
    /// `None`: what the standard library takes.
    pub(crate) stack_size: Option<usize>,
    /// Called in each thread before its first job.
    pub(crate) initializer: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Shared {
    /// A pool without a thread.
    pub(crate) fn new(config: Config) -> Shared {
        Shared {
            queue: Queue::new(),
            crew: Crew::new(config.max_workers),
            config,
            next_name: AtomicUsize::new(0),
            initializing: AtomicUsize::new(0),
            broken: Mutex::new(None),
            tally: Tally::default(),
        }
    }

    /// Whether the calling thread is one of the pool's.
    pub(crate) fn is_current(&self) -> bool {
        // Threads of a model share what a thread calls its own.
        !cfg!(kumihimo_loom) && ptr::eq(POOL.get(), self)
    }

    /// How the pool broke.
    ///
    /// Who has seen that the crew was closed as the pool broke, gets an answer: were this lock taken before the
    /// breaker's, then what was seen would have been written after it was seen.
    pub(crate) fn broken(&self) -> Option<BrokenThreadPool> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

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
    fn refuse_all(&self, error: &dyn Display) {
        self.refuse_queued(|| {
            JobError::Panicked(Box::new(format!(
                "no thread could be started for a blocking job: {error}; raise the limit on threads, or lower the \
                 pool's stack size"
            )))
        });
    }

    /// Ends the jobs that have not begun.
    pub(crate) fn refuse_queued(&self, error: impl Fn() -> JobError) {
        while let Some(job) = self.queue.pop() {
            job.refuse(error());
        }
    }

    /// The life of a pool thread, which counts as searching when it begins, and whenever it has no job.
    fn work(self: Arc<Self>) {
        POOL.set(Arc::as_ptr(&self));
        let sleeper = Arc::new(Sleeper::new());
        let mut spin = Spin::new(SPIN);
        let broken = self.initialize().err();
        let counter = self.tally.join();
        while let Some(job) = self.find(&sleeper, &mut spin) {
            if let Some(error) = &broken {
                // Who pushes while the pool closes counts on every thread that is left.
                self.crew.search();
                job.refuse(JobError::Broken(error.clone()));
                continue;
            }
            job.run(&mut |ran| {
                if ran {
                    counter.count();
                }
                self.crew.search();
            });
        }
        self.tally.leave(counter);
    }

    /// Calls the initializer, if there is one. If it panics, the pool is broken.
    #[inline]
    fn initialize(self: &Arc<Self>) -> Result<(), BrokenThreadPool> {
        match &self.config.initializer {
            Some(initializer) => self.call_initializer(initializer.as_ref()),
            None => Ok(()),
        }
    }

    #[cold]
    fn call_initializer(
        self: &Arc<Self>,
        initializer: &(dyn Fn() + Send + Sync),
    ) -> Result<(), BrokenThreadPool> {
        self.answer(self.begin_initializer());
        let result = catch_unwind(AssertUnwindSafe(initializer));
        self.end_initializer();
        result.map_err(|payload| {
            let error = BrokenThreadPool::new(payload.as_ref());
            quietly(|| drop(payload));
            self.break_with(error)
        })
    }

    /// An initializer may take long. Meanwhile its thread counts as busy, so that jobs that come start threads of their own.
    pub(crate) fn begin_initializer(&self) -> Summons {
        // Relaxed: a number that is too small costs a thread more than needed.
        self.initializing.fetch_add(1, Relaxed);
        self.crew.found(|| self.is_provided_for())
    }

    /// The thread searches.
    pub(crate) fn end_initializer(&self) {
        self.initializing.fetch_sub(1, Relaxed);
        // Pairs with the fence of `Crew::found`: who stops searching after us does not count on us any more.
        fence(SeqCst);
        self.crew.search();
    }

    /// Takes a job, if there is one, and says whom to call for what is left.
    pub(crate) fn take_job(&self) -> Option<(Runnable, Summons)> {
        let job = self.queue.pop()?;
        Some((job, self.crew.found(|| self.is_provided_for())))
    }

    /// Whether there are no more jobs in the queue than threads in their initializer, each of which gets to one of them.
    #[inline]
    fn is_provided_for(&self) -> bool {
        match self.config.initializer {
            None => self.queue.is_empty(),
            // Relaxed: a number that is too large must not be seen; see the fence in `call_initializer`.
            Some(_) => self.queue.len() <= self.initializing.load(Relaxed),
        }
    }

    /// Ends the pool, and the jobs that have not begun. The first reason counts.
    fn break_with(&self, error: BrokenThreadPool) -> BrokenThreadPool {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let error = broken.get_or_insert(error).clone();
        drop(broken);
        self.crew.close();
        self.refuse_queued(|| JobError::Broken(error.clone()));
        error
    }

    /// Searches for a job; without one, spins where that is worth it, then parks. `None` when it is time to leave.
    fn find(self: &Arc<Self>, sleeper: &Arc<Sleeper>, spin: &mut Spin) -> Option<Runnable> {
        let is_empty = || self.queue.is_empty();
        loop {
            if let Some((job, summons)) = self.take_job() {
                self.answer(summons);
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
