//! `Reactor`: where I/O and time are joined.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::alarm::Alarm;
use crate::clock::{Clock, ClockHold};
use crate::current::{self, Entered};
use crate::instant::Instant;
use crate::interrupt::Interrupt;
use crate::poller::{BATCH, Backend, Events, Poller};
use crate::registry::Registry;
use crate::source::Source;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, TryLockError};
use crate::timers::{NEVER, Timers};
use crate::wake::wake_all;

/// How late the timers of a worker that does not come back from a poll may be fired by the turning thread.
const SLACK: Duration = Duration::from_millis(5);

/// How long a [`Reactor::turn`] may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Not at all: look at what is ready.
    Poll,
    /// Until a descriptor is ready, a deadline is due, or somebody interrupts.
    Wait,
    /// The same, but no longer than this.
    WaitAtMost(Duration),
    /// As `Wait`; and no other worker runs a task, so that a paused clock may advance by itself.
    WaitAlone,
}

/// The reactor: knows which descriptors are ready and which deadlines are due, and wakes those who wait for them.
///
/// It serves a fixed number of workers. One of them at a time may [`turn`](Self::turn) it; which one that is, is for
/// the executor to say. Clones are handles to the same reactor.
#[derive(Clone)]
pub struct Reactor(Arc<Shared>);

/// What all handles share.
pub(crate) struct Shared {
    /// The workers' timers.
    pub(crate) timers: Timers,
    /// What time it is for them.
    pub(crate) clock: Clock,
    /// How many workers there are, at least one.
    workers: usize,
    /// The system's poller. Everything in `registry` is registered with it.
    poller: Poller,
    /// Registered descriptors.
    registry: Registry,
    /// Whether the turning thread waits, and whether it must not.
    interrupt: Interrupt,
    /// Until when the turning thread waits.
    alarm: Alarm,
    /// A worker that runs has set a timer which the waiting thread did not know of: the next wait is a short one.
    hurried: AtomicBool,
    /// What a turn works with; locked for its duration, which proves that there is only one.
    driver: Mutex<Driver>,
}

/// Buffers that turns reuse.
#[derive(Debug)]
struct Driver {
    /// The events of the last wait.
    events: Events,
    /// Empty between turns.
    wakers: Vec<Waker>,
}

impl Reactor {
    /// A reactor for so many workers, numbered from zero.
    ///
    /// # Errors
    ///
    /// Where the system has no descriptors left for it.
    ///
    /// # Panics
    ///
    /// Without workers.
    pub fn new(workers: usize) -> io::Result<Reactor> {
        Reactor::with_backend(workers, Backend::Native)
    }

    /// A reactor that waits in a certain way, for tests of that way.
    #[doc(hidden)]
    pub fn with_backend(workers: usize, backend: Backend) -> io::Result<Reactor> {
        assert!(workers > 0, "a reactor needs at least one worker");
        let poller = Poller::new(backend)?;
        let driver = Driver { events: poller.events(), wakers: Vec::with_capacity(BATCH) };
        let clock = Clock::new();
        Ok(Reactor(Arc::new(Shared {
            timers: Timers::new(workers, clock.now().as_nanos()),
            clock,
            workers,
            poller,
            registry: Registry::new(),
            interrupt: Interrupt::new(),
            alarm: Alarm::new(),
            hurried: AtomicBool::new(false),
            driver: Mutex::new(driver),
        })))
    }

    /// Makes this thread worker `worker` of this reactor, until the guard is dropped.
    ///
    /// What the thread was before is restored then.
    ///
    /// # Panics
    ///
    /// Where there is no such worker.
    pub fn enter(&self, worker: usize) -> Entered {
        let workers = self.0.workers;
        assert!(worker < workers, "there is no worker {worker} in a reactor of {workers} workers");
        current::enter(self.0.clone(), worker)
    }

    /// The reactor that this thread has entered last.
    pub fn current() -> Option<Reactor> {
        current::current().map(Reactor)
    }

    /// Looks after I/O and time once: takes what is ready from the system, wakes who waits for it, and fires the due
    /// timers of all workers. Returns whether it woke anybody.
    ///
    /// A turn that waits may also return for nothing: a signal, a late interrupt, a deadline that was cancelled.
    ///
    /// # Panics
    ///
    /// On a thread that has not [entered](Self::enter) this reactor, and where the system's poller fails, which it
    /// has no reason to. In debug builds also while another thread turns.
    pub fn turn(&self, turn: Turn) -> bool {
        let shared = &*self.0;
        let worker = shared.worker_here();
        let Some(mut driver) = shared.driver() else {
            debug_assert!(false, "two threads turn one reactor: only the worker with the baton may");
            return false;
        };
        match turn {
            Turn::Poll => shared.look(&mut driver, worker),
            Turn::WaitAlone if shared.clock.may_auto_advance() => shared.wait_or_advance(&mut driver, worker),
            Turn::Wait | Turn::WaitAlone => shared.wait(&mut driver, worker, None),
            Turn::WaitAtMost(limit) => shared.wait(&mut driver, worker, Some(limit)),
        }
    }

    /// Makes the turn that waits return, or the next one that would wait. From any thread.
    ///
    /// Where nobody waits it costs one atomic exchange, and at most one system call for each wait otherwise. It is
    /// async-signal-safe.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }

    /// Fires the due timers of one worker, which needs no turn. Returns whether it woke anybody.
    ///
    /// Reads the clock once, and not at all where that worker has no timers.
    #[inline]
    pub fn fire_due(&self, worker: usize) -> bool {
        let shared = &*self.0;
        shared.timers.shard(worker).next() != NEVER
            && shared.timers.fire_due(worker, shared.clock.now().as_nanos())
    }

    /// The time on the reactor's clock.
    #[inline]
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// To be called by a worker that goes to sleep while somebody else turns, after its last timer was set.
    ///
    /// Interrupts the turn that waits, if that would sleep past the worker's earliest deadline; or if the clock is
    /// paused, which may have to advance now.
    pub fn before_park(&self, worker: usize) {
        let shared = &*self.0;
        if shared.clock.is_paused() || shared.alarm.is_late_for(shared.timers.shard(worker).next()) {
            shared.interrupt();
        }
    }

    /// Whether the clock is paused: see [`clock::pause`](crate::clock::pause).
    pub fn is_paused(&self) -> bool {
        self.0.clock.is_paused()
    }

    /// Pauses the clock: see [`clock::pause`](crate::clock::pause).
    pub fn pause(&self) {
        self.0.clock.pause();
    }

    /// Lets a paused clock run on: see [`clock::resume`](crate::clock::resume).
    pub fn resume(&self) {
        if self.0.clock.resume() {
            // Whoever waits does so without regard to time.
            self.0.interrupt();
        }
    }

    /// Keeps a paused clock from advancing by itself while the guard lives: for jobs that the executor can't see.
    pub fn hold_clock(&self) -> ClockHold {
        ClockHold::new(self.clone())
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("workers", &self.0.workers).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Registers a descriptor.
    pub(crate) fn register(&self, fd: BorrowedFd<'_>) -> io::Result<Arc<Source>> {
        let source = self.registry.insert()?;
        match self.poller.add(fd, source.key) {
            Ok(()) => Ok(source),
            Err(error) => {
                self.registry.remove(&source);
                Err(io::Error::new(error.kind(), RegisterError { error }))
            }
        }
    }

    /// Deregisters a descriptor and wakes who waits for it; nothing if that was done before.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>, source: &Source) -> io::Result<()> {
        if !source.close() {
            return Ok(());
        }
        self.registry.remove(source);
        let deleted = self.poller.delete(fd);
        source.wake_all();
        deleted
    }

    /// A worker that runs has published a deadline. It fires its timers itself, but not during a poll that is long: so
    /// the turning thread must not sleep far past it.
    ///
    /// One that does is interrupted, and then sleeps for [`SLACK`] at most. So a worker that sets one timer after the
    /// other costs an interrupt per slack, not one per timer.
    #[inline]
    pub(crate) fn hurry(&self, deadline: u64) {
        // A single worker is the turning thread itself.
        if self.workers > 1 && self.alarm.is_late_for(deadline.saturating_add(SLACK.as_nanos() as u64)) {
            self.hurry_up();
        }
    }

    #[cold]
    fn hurry_up(&self) {
        // Relaxed: the interrupt orders it, and who reads it too early reads it again at the next wait.
        if !self.clock.is_paused() && !self.hurried.swap(true, Ordering::Relaxed) {
            self.interrupt();
        }
    }

    fn interrupt(&self) {
        if self.interrupt.request() {
            self.poller.ring();
        }
    }

    /// The number of this thread among the workers.
    fn worker_here(&self) -> usize {
        current::with_current(|shared, worker| std::ptr::eq(shared, self).then_some(worker)).flatten().expect(
            "`Reactor::turn` was called on a thread that has not entered the reactor: call `enter` first",
        )
    }

    /// The right to turn; `None` if somebody else has it.
    fn driver(&self) -> Option<MutexGuard<'_, Driver>> {
        match self.driver.try_lock() {
            Ok(driver) => Some(driver),
            Err(TryLockError::Poisoned(driver)) => Some(driver.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A turn that does not wait.
    fn look(&self, driver: &mut Driver, worker: usize) -> bool {
        self.poll(driver, Some(Duration::ZERO));
        self.dispatch(driver, worker)
    }

    /// A turn that waits.
    fn wait(&self, driver: &mut Driver, worker: usize, limit: Option<Duration>) -> bool {
        let short = self.hurried.load(Ordering::Relaxed) && self.hurried.swap(false, Ordering::Relaxed);
        let until = if short { self.clock.now().as_nanos() + SLACK.as_nanos() as u64 } else { NEVER };
        let deadline = self.alarm.set_within(until, || self.timers.next_deadline());
        let timeout = match (self.timeout(deadline), limit) {
            (Some(timeout), Some(limit)) => Some(timeout.min(limit)),
            (timeout, limit) => timeout.or(limit),
        };
        if timeout == Some(Duration::ZERO) || !self.interrupt.begin_wait() {
            self.alarm.clear();
            return self.look(driver, worker);
        }
        self.poll(driver, timeout);
        self.interrupt.end_wait();
        self.alarm.clear();
        self.dispatch(driver, worker)
    }

    /// How long it is until `deadline`; `None`: for ever.
    fn timeout(&self, deadline: u64) -> Option<Duration> {
        if deadline == NEVER {
            return None;
        }
        let paused = self.clock.is_paused();
        let left = deadline.saturating_sub(self.clock.now().as_nanos());
        // A paused clock does not come to a later deadline however long we wait; whoever moves it interrupts.
        (!paused || left == 0).then(|| Duration::from_nanos(left))
    }

    /// A turn that waits, with a paused clock, while nobody runs: if nothing is ready, time passes at once.
    fn wait_or_advance(&self, driver: &mut Driver, worker: usize) -> bool {
        // Somebody asked for attention after the executor found that nobody runs: let it look again.
        if self.interrupt.take() {
            return self.look(driver, worker);
        }
        if self.look(driver, worker) {
            return true;
        }
        let deadline = self.timers.earliest();
        if !self.clock.auto_advance_to(deadline) {
            return self.wait(driver, worker, None);
        }
        self.timers.fire_all(worker, self.clock.now().as_nanos())
    }

    /// Takes events from the system.
    fn poll(&self, driver: &mut Driver, timeout: Option<Duration>) {
        if let Err(error) = self.poller.wait(&mut driver.events, timeout) {
            panic!(
                "the system's poller failed: {error}; were descriptors closed that belong to the reactor?"
            );
        }
    }

    /// Wakes whom the events concern, then those whose time has come.
    fn dispatch(&self, driver: &mut Driver, worker: usize) -> bool {
        if !driver.events.is_empty() {
            self.registry.report(&driver.events, self.poller.is_oneshot(), &mut driver.wakers);
        }
        let ready = !driver.wakers.is_empty();
        wake_all(&mut driver.wakers);
        // Without timers there is no need to know the time.
        let due =
            self.timers.next_deadline() != NEVER && self.timers.fire_all(worker, self.clock.now().as_nanos());
        ready || due
    }
}

/// Why a descriptor could not be registered.
#[derive(Debug)]
struct RegisterError {
    /// What the system said.
    error: io::Error,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.error.kind() {
            io::ErrorKind::AlreadyExists => "; it is registered already: share one `Async` instead",
            io::ErrorKind::PermissionDenied => {
                "; the system can't poll it (a regular file?): use a thread for it"
            }
            _ => "",
        };
        write!(f, "can't register a descriptor with the reactor: {}{hint}", self.error)
    }
}

impl std::error::Error for RegisterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Reactor>();
    // Tasks on several workers may share a descriptor.
    is_send_and_sync::<crate::Async<std::net::TcpStream>>();
};
