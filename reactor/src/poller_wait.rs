//! Any platform: `Poller::wait` and `Poller::notify`, with oneshot registrations.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use polling::{Event, PollMode, Poller};

use crate::poller::{BATCH, Interest};
use crate::readiness::Ready;

/// See the module.
#[derive(Debug)]
pub(crate) struct PollerWait {
    /// All its registrations are oneshot.
    poller: Poller,
}

impl PollerWait {
    pub(crate) fn new() -> io::Result<PollerWait> {
        Ok(PollerWait { poller: Poller::new()? })
    }

    /// Registers for nothing yet: see `arm`.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        // SAFETY: polling asks that a source is deleted before it is closed. An `Async` owns what it registers, and
        // deletes it before it gives it up (`into_inner`) or drops it; if it is leaked, so is the descriptor. A
        // value that closes its descriptor behind our back breaks only its own events: the system reports them for
        // a key whose owner then finds the error itself.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), Event::none(key), PollMode::Oneshot) }
    }

    /// Asks for one event, which is the state of the descriptor if it is ready already.
    pub(crate) fn arm(&self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        let event = Event::new(key, interest.read, interest.write);
        self.poller.modify_with_mode(fd, event, PollMode::Oneshot)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }

    pub(crate) fn wait(&self, events: &mut PollerEvents, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        match self.poller.wait(&mut events.list, timeout) {
            // polling's poll(2) backend may take a notification before its byte is in the pipe, and says this then. The
            // wait is over; but it keeps later notifications from being sent until a wait ends well.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait(events, Some(Duration::ZERO))
            }
            result => result.map(drop),
        }
    }

    pub(crate) fn ring(&self) {
        // Fails only where the notification is pending already.
        let _ = self.poller.notify();
    }
}

/// The events of one wait.
pub(crate) struct PollerEvents {
    /// Has room for `BATCH` events.
    list: polling::Events,
}

impl PollerEvents {
    pub(crate) fn new() -> PollerEvents {
        let capacity = NonZeroUsize::new(BATCH).expect("a batch is not empty");
        PollerEvents { list: polling::Events::with_capacity(capacity) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Key and report of each event. Ends and errors need no bits of their own: arming reports them again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Ready)> {
        self.list.iter().map(|event| {
            let read = if event.readable { Ready::READABLE } else { Ready::NONE };
            let write = if event.writable { Ready::WRITABLE } else { Ready::NONE };
            (event.key, read | write)
        })
    }
}

impl fmt::Debug for PollerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollerEvents { .. }")
    }
}
