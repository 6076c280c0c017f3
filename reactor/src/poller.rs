//! The one small interface to the system's poller, and the choice between its two implementations.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

#[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
use crate::epoll_wait::{EpollEvents, EpollWait};
use crate::poller_wait::{PollerEvents, PollerWait};
use crate::readiness::Ready;

/// How many events one wait takes at most; what is left comes with the next. A batch is dispatched before timers
/// and tasks have their turn, so it bounds their delay; and the buffer (12 bytes an event) stays in the cache.
pub(crate) const BATCH: usize = 256;

/// Which implementation a reactor waits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Backend {
    /// The best of this platform.
    Native,
    /// `Poller::wait` and oneshot registrations, which work wherever the polling crate does.
    Portable,
}

/// Which directions somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// A poller: registrations, and a wait that an interrupt ends.
///
/// `wait` has one caller at a time; everything else may be called by anybody at any time.
#[derive(Debug)]
pub(crate) enum Poller {
    /// Edge-triggered; one system call per wait.
    #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
    Epoll(EpollWait),
    /// Oneshot: armed when somebody waits, disarmed by each event.
    Portable(PollerWait),
    /// A model has no system: nothing can be registered, so nothing ever comes.
    #[cfg(kumihimo_loom)]
    Absent,
}

impl Poller {
    #[cfg_attr(kumihimo_loom, allow(unreachable_code, unused_variables))]
    pub(crate) fn new(backend: Backend) -> io::Result<Poller> {
        #[cfg(kumihimo_loom)]
        return Ok(Poller::Absent);
        #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
        if backend == Backend::Native && !cfg!(kumihimo_oneshot) {
            return EpollWait::new().map(Poller::Epoll);
        }
        let _ = backend;
        PollerWait::new().map(Poller::Portable)
    }

    /// A buffer for `wait`.
    pub(crate) fn events(&self) -> Events {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Poller::Epoll(_) => Events::Epoll(EpollEvents::new()),
            Poller::Portable(_) => Events::Portable(PollerEvents::new()),
            #[cfg(kumihimo_loom)]
            Poller::Absent => Events::None,
        }
    }

    /// Registers a descriptor; its events carry `key`.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Poller::Epoll(poller) => poller.add(fd, key),
            Poller::Portable(poller) => poller.add(fd, key),
            #[cfg(kumihimo_loom)]
            Poller::Absent => panic!(
                "a socket or another descriptor in a model: there is no system to wait for there; put the part that \
                 does I/O behind a trait or a queue, and model the rest"
            ),
        }
    }

    /// Whether an event disarms a registration, so that it must be armed again for each wait.
    pub(crate) fn is_oneshot(&self) -> bool {
        matches!(self, Poller::Portable(_))
    }

    /// Arms a oneshot registration. Does nothing where registrations stay armed.
    pub(crate) fn arm(&self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Poller::Epoll(_) => Ok(()),
            Poller::Portable(poller) => poller.arm(fd, key, interest),
            #[cfg(kumihimo_loom)]
            Poller::Absent => Ok(()),
        }
    }

    /// Removes a registration. Events of it that were taken from the system before may still be in a buffer.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Poller::Epoll(poller) => poller.delete(fd),
            Poller::Portable(poller) => poller.delete(fd),
            #[cfg(kumihimo_loom)]
            Poller::Absent => Ok(()),
        }
    }

    /// Waits for events, a [`ring`](Self::ring), a signal or the end of the time-out (`None`: none), and replaces
    /// the content of the buffer. May return early with nothing, never late by more than the system's timers are.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match (self, events) {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            (Poller::Epoll(poller), Events::Epoll(events)) => poller.wait(events, timeout),
            (Poller::Portable(poller), Events::Portable(events)) => poller.wait(events, timeout),
            #[cfg(kumihimo_loom)]
            (Poller::Absent, Events::None) => Ok(()),
            #[cfg(any(all(target_os = "linux", not(polling_test_poll_backend)), kumihimo_loom))]
            _ => unreachable!("a poller is given the buffer that it made"),
        }
    }

    /// Ends the wait in progress, or the next one. Async-signal-safe.
    pub(crate) fn ring(&self) {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Poller::Epoll(poller) => poller.ring(),
            Poller::Portable(poller) => poller.ring(),
            #[cfg(kumihimo_loom)]
            Poller::Absent => {}
        }
    }
}

/// A reused buffer for the events of one wait.
pub(crate) enum Events {
    #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
    Epoll(EpollEvents),
    Portable(PollerEvents),
    #[cfg(kumihimo_loom)]
    None,
}

impl Events {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Events::Epoll(events) => events.is_empty(),
            Events::Portable(events) => events.is_empty(),
            #[cfg(kumihimo_loom)]
            Events::None => true,
        }
    }

    /// Calls `f` with the key of each event and what it reports.
    pub(crate) fn for_each(&self, f: impl FnMut(usize, Ready)) {
        match self {
            #[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
            Events::Epoll(events) => events.iter().for_each(pair(f)),
            Events::Portable(events) => events.iter().for_each(pair(f)),
            #[cfg(kumihimo_loom)]
            Events::None => {}
        }
    }
}

fn pair(mut f: impl FnMut(usize, Ready)) -> impl FnMut((usize, Ready)) {
    move |(key, ready)| f(key, ready)
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events { .. }")
    }
}
