//! `Runtime`: the worker threads, and the thread that calls `block_on`.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::config::Builder;
use super::gate::{Gate, Phase};
use super::local::Local;
use super::main_future::MainFuture;
use super::registry::Registry;
use super::rounds::Rounds;
use super::shared::{Flavor, Remote, Shared};
use super::strand::Strand;
use super::{Entered, Scheduler, close, services};
use crate::driver::Driver;
use crate::model::trace;
use crate::sleep::Sleep;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::deque::Injector;
use crate::sync::thread;
use crate::task::header::TaskRef;
use crate::task::state::State;
use crate::task::{TaskError, TaskHandle, cell, id};
use crate::variables::{self, Context, copy_context};

/// Worker threads and their tasks. The thread that makes it is worker 0 whenever it calls [`block_on`](Self::block_on).
///
/// It is not `Send`: pinned tasks of worker 0 live on this thread, from one `block_on` to the next.
pub struct Runtime {
    shared: Arc<Shared>,
    /// Worker 0.
    local: Local,
    threads: Vec<thread::JoinHandle<()>>,
    /// Where main's variables live, from one main to the next.
    context: Context,
    /// Sessions that are open: the last to end pauses the workers.
    sessions: Cell<usize>,
    not_send: PhantomData<*mut ()>,
}

impl Runtime {
    pub(crate) fn new(config: Builder, driver: Arc<dyn Driver>) -> io::Result<Runtime> {
        kumihimo_context::provide(services::SERVICES);
        let queues: Vec<Rounds<TaskRef>> = (0..config.workers).map(|_| Rounds::new()).collect();
        let shared = Arc::new(Shared {
            flavor: config.flavor,
            workers: queues.iter().map(|queue| CachePadded::new(Remote::new(queue.stealer()))).collect(),
            injector: Injector::new(),
            outside: Injector::new(),
            strand: Strand::default(),
            exceptions: Arc::default(),
            stopping: AtomicBool::new(false),
            sleep: Sleep::new(config.workers),
            #[cfg(kumihimo_loom)]
            model: Some(crate::model::Queue::new(config.workers)),
            registry: Registry::new(config.workers + 1),
            gate: Gate::new(),
            driver,
            hooks: config.hooks,
        });
        let mut queues = queues.into_iter().enumerate();
        let (_, queue) = queues.next().expect("there is at least one worker");
        let local = Local::new(shared.clone(), 0, queue);
        // From here on, dropping the runtime stops the threads that were started.
        let mut runtime = Runtime {
            shared,
            local,
            threads: Vec::new(),
            context: copy_context(),
            sessions: Cell::new(0),
            not_send: PhantomData,
        };
        for (index, queue) in queues {
            let shared = runtime.shared.clone();
            let thread = thread::Builder::new()
                .name(format!("{}-{index}", config.thread_name))
                .spawn(move || work(Local::new(shared, index, queue)))
                .map_err(|error| {
                    let text =
                        format!("worker thread {index} of {} could not be started: {error}", config.workers);
                    io::Error::new(error.kind(), text)
                })?;
            runtime.threads.push(thread);
        }
        Ok(runtime)
    }

    /// A handle for spawning, which may go to other threads.
    pub fn scheduler(&self) -> Scheduler {
        Scheduler::new(self.shared.clone())
    }

    /// Lets the workers run until the guard is dropped, so that several `block_on`s follow each other without a pause.
    pub fn session(&self) -> Session<'_> {
        self.sessions.set(self.sessions.get() + 1);
        if self.sessions.get() == 1 {
            self.shared.gate.set(Phase::Running);
        }
        Session(self)
    }

    /// The context that mains run in, one after the other.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Runs `main` as a task that is pinned to this thread, and everything else, until main has ended.
    ///
    /// It runs in the runtime's [context](Self::context), or in the one that `observe` gives it.
    ///
    /// `observe` is given main's handle before it runs. Tasks that are left stay as they are, until the next call or
    /// [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// If main was cancelled or panicked.
    ///
    /// # Panics
    ///
    /// If this thread runs a loop already.
    #[track_caller]
    pub fn block_on<F: Future>(
        &self,
        main: F,
        observe: impl FnOnce(&TaskHandle),
    ) -> Result<F::Output, TaskError> {
        super::panic_if_running();
        let mut output = None;
        let mut future = Some(main);
        // SAFETY: both places outlive the task's future: it is dropped when the task completes, and `run_main` returns
        // only then (or aborts the process). They are not used until after that, and the future does not move.
        let main = unsafe { MainFuture::new(&raw mut future, &raw mut output) };
        let error = self.run_main(main, Location::caller(), observe);
        #[cfg(kumihimo_loom)]
        if crate::model::verdict::is_failed() {
            // Nothing is run any more, destructors included.
            std::mem::forget((future, output));
            std::panic::panic_any(crate::model::verdict::Failed);
        }
        match error {
            Some(error) => Err(error),
            None => Ok(output.expect("main left its output")),
        }
    }

    fn run_main<F: Future<Output = ()>>(
        &self,
        main: F,
        site: &'static Location<'static>,
        observe: impl FnOnce(&TaskHandle),
    ) -> Option<TaskError> {
        let abort = AbortOnUnwind;
        let _session = self.session();
        let _entered = Entered::new(&self.local);
        self.shared.sleep.parkers().register(0);
        let _driver = self.shared.driver.enter(0);
        let birth = (self.local.next_id(), id::TaskId::NONE, site);
        let main = cell::allocate(main, State::new(true), Arc::as_ptr(&self.shared), birth);
        // Stands for the interest that a `Task` would have.
        let main = super::Task::<()>::from_owned(main);
        trace::created(main.task());
        assert!(self.shared.registry.insert(0, main.task()), "the runtime is closed");
        observe(&main);
        // Unless it was given another.
        variables::give(main.task(), self.context.clone());
        self.local.push(main.task());
        let ended = || trace::may_have_ended(main.task()) && main.done();
        match self.shared.flavor {
            Flavor::MultiThread => self.local.work(self.with_calls(ended)),
            Flavor::CurrentThread => self.local.run_passes(ended, || false),
        }
        let failure = main.try_failure();
        abort.disarm();
        failure
    }

    /// Runs everything until [`Scheduler::stop`] is called.
    ///
    /// # Panics
    ///
    /// If this thread runs a loop already.
    #[track_caller]
    pub fn run_forever(&self) {
        super::panic_if_running();
        self.run_until(|| false);
    }

    /// Runs a future as a task that is pinned to this thread, and everything else, until it has ended, or
    /// [`Scheduler::stop`] is called: then there is no result, and the task goes on in the next run.
    ///
    /// # Errors
    ///
    /// If it was cancelled or panicked.
    ///
    /// # Panics
    ///
    /// If this thread runs a loop already.
    #[track_caller]
    pub fn run_until_complete<F: Future + 'static>(&self, future: F) -> Option<Result<F::Output, TaskError>> {
        super::panic_if_running();
        let site = Location::caller();
        let mut task = {
            let _entered = Entered::new(&self.local);
            super::spawn(&self.local, future, true, site)
        };
        self.run_until(|| task.done());
        task.try_take()
    }

    fn run_until(&self, ended: impl Fn() -> bool) {
        let abort = AbortOnUnwind;
        let _session = self.session();
        let _entered = Entered::new(&self.local);
        self.shared.sleep.parkers().register(0);
        let _driver = self.shared.driver.enter(0);
        // Relaxed: who stops the loop from elsewhere wakes this thread, which synchronises.
        let halt = || self.shared.stopping.load(Relaxed);
        match self.shared.flavor {
            Flavor::MultiThread => {
                let ended = self.with_calls(ended);
                self.local.work(|| ended() || halt());
            }
            Flavor::CurrentThread => self.local.run_passes(ended, halt),
        }
        self.shared.stopping.store(false, Relaxed);
        abort.disarm();
    }

    /// On several workers: `ended`, and the callbacks have run that were scheduled by then, as the last pass of one thread runs
    /// them.
    fn with_calls(&self, ended: impl Fn() -> bool) -> impl Fn() -> bool {
        let calls = Cell::new(None);
        move || {
            let strand = &self.shared.strand;
            ended()
                && strand.has_returned(calls.get().unwrap_or_else(|| {
                    let pushed = strand.await_pushed();
                    calls.set(Some(pushed));
                    pushed
                }))
        }
    }

    /// Stops the workers and drops every task that is left, unfinished.
    pub fn close(self) {}
}

/// Workers run while this lives.
#[derive(Debug)]
pub struct Session<'a>(&'a Runtime);

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let (shared, sessions) = (&self.0.shared, &self.0.sessions);
        sessions.set(sessions.get() - 1);
        if sessions.get() > 0 {
            return;
        }
        shared.gate.set(Phase::Paused);
        shared.rouse_all();
        shared.gate.wait_outside();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.gate.set(Phase::Stopping);
        self.shared.rouse_all();
        for thread in self.threads.drain(..) {
            // A worker's panic aborts the process, so there is none to pass on.
            let _ = thread.join();
        }
        let abort = AbortOnUnwind;
        let _entered = Entered::new(&self.local);
        let _driver = self.shared.driver.enter(0);
        close::drop_all_tasks(&self.local);
        abort.disarm();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("flavor", &self.shared.flavor)
            .field("workers", &self.shared.workers.len())
            .finish_non_exhaustive()
    }
}

/// A worker thread's life.
fn work(local: Local) {
    let abort = AbortOnUnwind;
    let shared = local.shared.clone();
    if let Some(start) = &shared.hooks.start {
        start();
    }
    let entered = Entered::new(&local);
    shared.sleep.parkers().register(local.index);
    let driver = shared.driver.enter(local.index);
    while shared.gate.pass() {
        local.work(|| !shared.gate.is_running());
        shared.gate.leave();
        #[cfg(kumihimo_loom)]
        if crate::model::verdict::is_failed() {
            // Nothing is run any more, destructors included.
            std::mem::forget((driver, entered));
            return std::mem::forget(local);
        }
    }
    close::drop_pinned_tasks(&local);
    drop(driver);
    drop(entered);
    if let Some(stop) = &shared.hooks.stop {
        stop();
    }
    abort.disarm();
}

/// A panic that reaches a worker's own frames is a broken invariant: tasks could hang or run twice, and main's future, whose
/// frame unwinds, would be reached after its end.
struct AbortOnUnwind;

impl AbortOnUnwind {
    /// All went well.
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if cfg!(kumihimo_loom) {
            // loom has found something, and runs none of its threads any more.
            return;
        }
        eprintln!("kumihimo: a worker thread panicked outside of any task; aborting");
        std::process::abort();
    }
}
