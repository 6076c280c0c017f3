//! Loops that are run by hand: `new_event_loop`, `run_until_complete`, `run_forever`, `stop`, `close`.

use std::cell::RefCell;
use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;

use kumihimo_executor::{Runtime, Scheduler, TaskError};

use crate::builder::Builder;
use crate::event_loop::{EventLoop, try_get_running_loop};

thread_local! {
    /// The loops that belong to this thread, and can be run on it.
    static LOOPS: RefCell<Loops> = const { RefCell::new(Loops(Vec::new())) };
    /// What `get_event_loop` made on this thread.
    static DEFAULT: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

/// The loops of this thread.
struct Loops(Vec<Owned>);

impl Drop for Loops {
    /// The thread ends, and with it the thread-locals that closing a loop needs, ours and those of the tasks: what was not closed
    /// by now is left as it is.
    fn drop(&mut self) {
        self.0.drain(..).for_each(|owned| std::mem::forget(owned.runtime));
    }
}

/// A loop of this thread.
struct Owned {
    scheduler: Scheduler,
    /// Taken while it closes.
    runtime: Rc<Runtime>,
}

/// Makes a loop to be run by hand, on this thread only: with all processors, as [`run`](crate::run) does it.
///
/// It is for programs that start and stop their loop themselves; others use [`run`](crate::run) or a
/// [`Runner`](crate::Runner). [Close](EventLoop::close) it at the end: at the thread's end it is too late, and the loop is left as it is.
///
/// ```
/// use kumihimo as asyncio;
///
/// let event_loop = asyncio::new_event_loop();
/// assert_eq!(event_loop.run_until_complete(async { 6 * 7 }), 42);
/// event_loop.close();
/// assert!(event_loop.is_closed());
/// ```
///
/// # Panics
///
/// If the system has no threads or descriptors left.
#[doc(alias = "asyncio.new_event_loop")]
pub fn new_event_loop() -> EventLoop {
    let made = crate::Runner::builder().build_event_loop();
    made.unwrap_or_else(|error| panic!("the event loop could not be started: {error}"))
}

/// The loop that runs on this thread; where none does, this thread's own, made on first use.
///
/// # Panics
///
/// As [`new_event_loop`].
#[doc(alias = "asyncio.get_event_loop")]
pub fn get_event_loop() -> EventLoop {
    try_get_running_loop().unwrap_or_else(|| {
        let known = DEFAULT.with_borrow(|default| default.clone()).filter(|known| !known.is_closed());
        known.unwrap_or_else(|| {
            let made = new_event_loop();
            DEFAULT.set(Some(made.clone()));
            made
        })
    })
}

impl Builder {
    /// Makes a loop to be run by hand, as [`new_event_loop`] does, with these settings. Ctrl-C is not handled.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// let event_loop = asyncio::Runner::builder().current_thread().build_event_loop()?;
    /// event_loop.stop();
    /// event_loop.run_forever();
    /// event_loop.close();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the system has no descriptors or threads left for it.
    #[doc(alias = "asyncio.new_event_loop")]
    pub fn build_event_loop(self) -> io::Result<EventLoop> {
        let parts = self.parts()?;
        let scheduler = parts.runtime.scheduler();
        let event_loop =
            EventLoop::new(scheduler.clone(), parts.reactor, parts.default_executor, parts.debug);
        LOOPS.with_borrow_mut(|loops| loops.0.push(Owned { scheduler, runtime: Rc::new(parts.runtime) }));
        Ok(event_loop)
    }
}

impl EventLoop {
    /// Runs a future as a task of this loop, on this thread, until it has ended, and gives what it returns. Other tasks run
    /// meanwhile; what is left of them goes on in the next run.
    ///
    /// # Panics
    ///
    /// - If a loop runs on this thread already, or the loop is closed, or was not made by [`new_event_loop`] or
    ///   [`get_event_loop`] on this thread.
    /// - If the loop is [stopped](Self::stop) before; the future stays a task of the loop.
    /// - If the future panics, with its panic; if it ends cancelled.
    #[doc(alias = "asyncio.loop.run_until_complete")]
    #[track_caller]
    pub fn run_until_complete<F: Future + 'static>(&self, future: F) -> F::Output {
        match self.runtime("run_until_complete").run_until_complete(future) {
            Some(Ok(value)) => value,
            Some(Err(TaskError::Panicked(panic))) => resume_unwind(panic.into_payload()),
            Some(Err(TaskError::Cancelled(error))) => panic!(
                "the future given to run_until_complete() was {error}; catch that inside of it, or await a task's outcome()"
            ),
            None => panic!("the event loop was stopped before the future had ended"),
        }
    }

    /// Runs the loop on this thread until [`stop`](Self::stop) is called.
    ///
    /// # Panics
    ///
    /// As [`run_until_complete`](Self::run_until_complete).
    #[doc(alias = "asyncio.loop.run_forever")]
    #[track_caller]
    pub fn run_forever(&self) {
        self.runtime("run_forever").run_forever();
    }

    /// Has [`run_forever`](Self::run_forever) return; from any thread. On one thread the loop finishes its pass. Called
    /// before, it lets the next run make one pass.
    ///
    /// It has no effect on [`run`](crate::run) and a [`Runner`](crate::Runner), which end with their main task.
    #[doc(alias = "asyncio.loop.stop")]
    pub fn stop(&self) {
        self.scheduler().stop();
    }

    /// Closes the loop, for good: drops its tasks and callbacks, unfinished. Closing it again does nothing.
    ///
    /// The default executor is shut down without waiting for its jobs; to wait, run
    /// [`shutdown_default_executor`](Self::shutdown_default_executor) before.
    ///
    /// # Panics
    ///
    /// If the loop is running, or belongs to another thread or to a [`Runner`](crate::Runner).
    #[doc(alias = "asyncio.loop.close")]
    #[track_caller]
    pub fn close(&self) {
        if self.is_closed() {
            return;
        }
        assert!(
            !self.is_running(),
            "a running event loop cannot be closed: call stop(), and close() after the run"
        );
        let at = |loops: &mut Loops| loops.0.iter().position(|owned| owned.scheduler == *self.scheduler());
        let owned = LOOPS.with_borrow_mut(|loops| at(loops).map(|at| loops.0.swap_remove(at)));
        // Outside of the borrow: dropping tasks runs anybody's code.
        drop(owned.unwrap_or_else(|| not_here("close")));
        drop(self.default_executor().shutdown());
    }

    #[track_caller]
    fn runtime(&self, what: &str) -> Rc<Runtime> {
        assert!(
            !kumihimo_executor::is_running(),
            "{what}() cannot be called from a running event loop: this thread runs one already. Await the future instead"
        );
        assert!(!self.is_closed(), "the event loop is closed: {what}() cannot run it any more");
        LOOPS.with_borrow(|loops| {
            let owned = loops.0.iter().find(|owned| owned.scheduler == *self.scheduler());
            owned.map_or_else(|| not_here(what), |owned| owned.runtime.clone())
        })
    }
}

#[cold]
#[track_caller]
fn not_here(what: &str) -> ! {
    panic!(
        "{what}() was called for an event loop that does not belong to this thread: it runs only where new_event_loop() or \
         get_event_loop() made it; the loop of a Runner is run by Runner::run()"
    )
}
