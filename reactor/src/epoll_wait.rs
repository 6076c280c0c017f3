//! Linux: the polling crate's epoll instance, edge-triggered, waited on with one system call.
//!
//! polling's own `wait` makes five system calls (it sets a timerfd, and arms its notifier again), so here the wait
//! is an `epoll_pwait2` on its descriptor, and the bell is an eventfd of our own. It is registered edge-triggered:
//! each write is an edge, so it is neither read nor armed again. polling's notifier and timerfd are never armed to
//! fire.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use polling::Poller;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use crate::poller::BATCH;
use crate::readiness::Ready;
use crate::sync::{AtomicBool, Ordering};

/// The key of the bell. No source has it: its index part is beyond any registry. (polling's own descriptors have
/// `usize::MAX`.)
const BELL_KEY: usize = usize::MAX - 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct EpollWait {
    /// Owns the epoll instance; never waited on itself.
    poller: Poller,
    /// An eventfd that is only ever written to. Its count can't overflow: that takes 2^64 - 2 interrupts.
    bell: OwnedFd,
    /// The kernel has no `epoll_pwait2` (before Linux 5.11, or behind a filter): wait with millisecond time-outs.
    coarse: AtomicBool,
}

impl EpollWait {
    pub(crate) fn new() -> io::Result<EpollWait> {
        let poller = Poller::new()?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poller, &bell, EventData::new_u64(BELL_KEY as u64), flags)?;
        Ok(EpollWait { poller, bell, coarse: AtomicBool::new(false) })
    }

    /// Registers for both directions, for good.
    ///
    /// Not through `Poller::add_with_mode`, which can't ask for `RDHUP`. Without it an end of stream that arrives
    /// together with data is one plain `IN`, and lost when the read that takes the data is short.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.poller, fd, EventData::new_u64(key as u64), flags)?)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }

    /// A signal ends the wait: its handler may have asked for attention, and the time-out must be worked out anew.
    pub(crate) fn wait(&self, events: &mut EpollEvents, timeout: Option<Duration>) -> io::Result<()> {
        let result = if self.coarse.load(Ordering::Relaxed) {
            self.wait_coarse(events, timeout)
        } else {
            self.wait_fine(events, timeout)
        };
        match result {
            Err(Errno::INTR) => {
                events.list.clear();
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn wait_fine(&self, events: &mut EpollEvents, timeout: Option<Duration>) -> Result<(), Errno> {
        // Where the seconds overflow there is no need to wake up.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        events.list.clear();
        match epoll::wait(&self.poller, rustix::buffer::spare_capacity(&mut events.list), timeout.as_ref()) {
            Ok(_) => Ok(()),
            // Filters that don't know the call refuse it with EPERM, which epoll itself never gives.
            Err(Errno::NOSYS | Errno::PERM) => {
                // Relaxed: only the one waiting thread uses it, and a late look costs one refused call.
                self.coarse.store(true, Ordering::Relaxed);
                self.wait_coarse(events, timeout.map(duration))
            }
            Err(error) => Err(error),
        }
    }

    #[cold]
    fn wait_coarse(&self, events: &mut EpollEvents, timeout: Option<Duration>) -> Result<(), Errno> {
        const {
            assert!(size_of::<epoll::Event>() == size_of::<libc::epoll_event>());
            assert!(align_of::<epoll::Event>() == align_of::<libc::epoll_event>());
        }
        events.list.clear();
        let capacity = events.list.capacity().min(BATCH);
        // SAFETY: the buffer is valid for `capacity` events, and both types are the kernel's `struct epoll_event`.
        let count = unsafe {
            libc::epoll_wait(
                self.poller.as_fd().as_raw_fd(),
                events.list.as_mut_ptr().cast(),
                capacity as libc::c_int,
                milliseconds(timeout),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL));
        };
        // SAFETY: the kernel has written `count` events, which is at most `capacity`.
        unsafe { events.list.set_len(count) };
        Ok(())
    }

    /// One `write` to an eventfd: async-signal-safe, and never blocks.
    pub(crate) fn ring(&self) {
        // It can fail only where the count is full, and then the bell has rung.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

impl Drop for EpollWait {
    fn drop(&mut self) {
        // `Poller::delete` is what its contract asks for before a descriptor is closed.
        let _ = self.poller.delete(&self.bell);
    }
}

/// Rounded up: a wait that ends before its deadline would be followed by others that don't wait at all.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    let Some(timeout) = timeout else { return -1 };
    libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX)
}

/// The reverse of what made `timeout`, which was not negative.
fn duration(timeout: Timespec) -> Duration {
    Duration::new(timeout.tv_sec.unsigned_abs(), timeout.tv_nsec.unsigned_abs() as u32)
}

/// The events of one wait.
pub(crate) struct EpollEvents {
    /// Has room for `BATCH` events.
    list: Vec<epoll::Event>,
}

// SAFETY: an event's data may be a pointer, which is what keeps it from being `Send`; ours are keys, plain numbers.
unsafe impl Send for EpollEvents {}

impl EpollEvents {
    pub(crate) fn new() -> EpollEvents {
        EpollEvents { list: Vec::with_capacity(BATCH) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Key and report of each event; those of the bell too, whose key nobody has.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Ready)> {
        self.list.iter().map(|event| (event.data.u64() as usize, ready(event.flags)))
    }
}

fn ready(flags: EventFlags) -> Ready {
    let mut ready = Ready::NONE;
    if flags.contains(EventFlags::IN) {
        ready = ready | Ready::READABLE;
    }
    if flags.contains(EventFlags::OUT) {
        ready = ready | Ready::WRITABLE;
    }
    if flags.intersects(EventFlags::RDHUP | EventFlags::HUP) {
        ready = ready | Ready::READABLE | Ready::READ_CLOSED;
    }
    if flags.contains(EventFlags::HUP) {
        ready = ready | Ready::WRITABLE | Ready::WRITE_CLOSED;
    }
    if flags.contains(EventFlags::ERR) {
        ready = ready | Ready::ERROR;
    }
    ready
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_millis(3))), 3);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }

    /// The bell, a source and a time-out, with both system calls.
    #[test]
    fn both_waits_agree() {
        for coarse in [false, true] {
            let poller = EpollWait::new().unwrap();
            poller.coarse.store(coarse, Ordering::Relaxed);
            let mut events = EpollEvents::new();
            poller.wait(&mut events, Some(Duration::from_millis(2))).unwrap();
            assert!(events.is_empty());

            for _ in 0..2 {
                poller.ring();
                poller.wait(&mut events, None).unwrap();
                assert_eq!(events.iter().map(|(key, _)| key).collect::<Vec<_>>(), [BELL_KEY]);
            }

            let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
            poller.add(near.as_fd(), 7).unwrap();
            drop(far);
            poller.wait(&mut events, None).unwrap();
            assert_eq!(events.iter().next(), Some((7, ready(!EventFlags::ERR))));
            poller.delete(near.as_fd()).unwrap();
        }
    }
}
