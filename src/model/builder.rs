//! The settings of a model, and what came of it.

use std::fmt;
#[cfg(kumihimo_loom)]
use std::time::Duration;

/// The settings of a [`model`](crate::model()).
///
/// ```
/// use kumihimo as asyncio;
///
/// let explored = asyncio::model::Builder::new().workers(2).preemption_bound(2).check(|| async {
///     asyncio::create_task(async { 6 * 7 }).await;
/// });
/// assert!(explored.executions() >= 1);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a model does nothing before `check`"]
pub struct Builder {
    pub(super) workers: usize,
    pub(super) preemption_bound: Option<usize>,
    pub(super) deviations: usize,
    pub(super) spurious_polls: usize,
    pub(super) max_branches: usize,
    pub(super) log: bool,
    pub(super) cancel_everywhere: Option<String>,
}

/// What was explored.
#[derive(Clone, Debug)]
pub struct Exploration {
    pub(super) executions: u64,
    pub(super) bounds: Vec<String>,
}

impl Exploration {
    /// How many executions there were.
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// By what the exploration was cut; nothing if it was complete.
    pub fn bounds(&self) -> &[String] {
        &self.bounds
    }
}

impl fmt::Display for Exploration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} executions, ", self.executions)?;
        match &self.bounds[..] {
            [] => f.write_str("complete"),
            bounds => write!(f, "cut at {}", bounds.join(" and ")),
        }
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The default settings: two workers, two preemptions, one deviation from the order in which tasks became ready, no polls
    /// for nothing.
    pub fn new() -> Builder {
        Builder {
            workers: 2,
            preemption_bound: Some(2),
            deviations: 1,
            spurious_polls: 0,
            max_branches: 10_000,
            log: false,
            cancel_everywhere: None,
        }
    }

    /// How many workers run tasks: steps of so many tasks happen at the same time.
    ///
    /// Each is one of loom's five threads, as is each call of `to_thread`, and each thread that the model starts itself.
    ///
    /// # Panics
    ///
    /// If it is zero, or above four.
    pub fn workers(mut self, workers: usize) -> Builder {
        assert!((1..=4).contains(&workers), "workers({workers}): a model has one to four workers");
        self.workers = workers;
        self
    }

    /// How often an execution leaves a worker, or a thread, though it could go on. Most bugs need one or two.
    pub fn preemption_bound(mut self, bound: usize) -> Builder {
        self.preemption_bound = Some(bound);
        self
    }

    /// No bound for preemptions: complete, and out of reach for all but the smallest models.
    pub fn no_preemption_bound(mut self) -> Builder {
        self.preemption_bound = None;
        self
    }

    /// How often an execution does something else than run the task that became ready first: another that is ready, or let a
    /// timer fire before it. With several workers much of that happens without, as they run side by side.
    pub fn deviations(mut self, bound: usize) -> Builder {
        self.deviations = bound;
        self
    }

    /// How often an execution polls a task that nothing has woken, which every future has to bear. Each is a
    /// [deviation](Self::deviations), too.
    pub fn spurious_polls(mut self, bound: usize) -> Builder {
        self.spurious_polls = bound;
        self
    }

    /// How many steps an execution may have before it counts as endless.
    pub fn max_branches(mut self, bound: usize) -> Builder {
        self.max_branches = bound;
        self
    }

    /// Prints what each execution does, step by step.
    pub fn log(mut self, log: bool) -> Builder {
        self.log = log;
        self
    }

    /// Explores the model once more for each time that the task of this name is suspended, and cancels it there; and once more,
    /// and drops its future there.
    ///
    /// The name is one given with [`task::Builder::name`](crate::task::Builder::name), or `main`. The code has to bear it: a
    /// task that awaits this one looks at its `outcome()`.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// asyncio::model::Builder::new().cancel_everywhere("worker").check(|| async {
    ///     let lock = asyncio::model::sync::Arc::new(asyncio::Lock::new());
    ///     let worker = asyncio::task::Builder::new().name("worker").spawn({
    ///         let lock = lock.clone();
    ///         async move { drop(lock.acquire().await) }
    ///     });
    ///     drop(lock.acquire().await);
    ///     let _ = worker.outcome().await;
    ///     assert!(!lock.locked());
    /// });
    /// ```
    pub fn cancel_everywhere(mut self, task: impl Into<String>) -> Builder {
        self.cancel_everywhere = Some(task.into());
        self
    }

    /// Explores the code: see [`model`](crate::model()).
    ///
    /// # Panics
    ///
    /// If an execution fails.
    #[track_caller]
    pub fn check<F, Fut>(&self, code: F) -> Exploration
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        #[cfg(kumihimo_loom)]
        return super::explore::check(self, code);
        #[cfg(not(kumihimo_loom))]
        self.run_once(code)
    }

    /// Without loom: one execution, of which the machine decides.
    #[cfg(not(kumihimo_loom))]
    #[track_caller]
    fn run_once<F, Fut>(&self, code: F) -> Exploration
    where
        F: Fn() -> Fut,
        Fut: Future<Output = ()>,
    {
        let runner =
            crate::Runner::builder().worker_threads(self.workers).start_paused(true).handle_sigint(false);
        let runner = runner.build().expect("the system has threads and descriptors for a small runtime");
        match runner.run(code()) {
            Ok(()) => {}
            Err(crate::TaskError::Panicked(panic)) => {
                panic!("the model's main task panicked: {}", panic.message())
            }
            Err(error) => panic!("the model's main task did not end: {error}"),
        }
        runner.close();
        Exploration {
            executions: 1,
            bounds: vec!["one execution, as built without --cfg kumihimo_loom".into()],
        }
    }
}

#[cfg(kumihimo_loom)]
impl Builder {
    /// loom's settings.
    pub(super) fn loom(&self) -> loom::model::Builder {
        let mut loom = loom::model::Builder::new();
        loom.preemption_bound = self.preemption_bound;
        loom.max_branches = self.max_branches;
        loom.log = self.log;
        loom.max_duration = None::<Duration>;
        loom.max_permutations = None;
        loom
    }

    /// By what an exploration is cut.
    pub(super) fn bounds(&self, deviated: bool) -> Vec<String> {
        let preemptions = self.preemption_bound.map(|bound| format!("{bound} preemptions"));
        let deviations =
            deviated.then(|| format!("{} deviations from the order of readiness", self.deviations));
        preemptions.into_iter().chain(deviations).collect()
    }
}
