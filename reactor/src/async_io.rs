//! `Async`: a descriptor that tasks can wait for.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{Leaf, WaitKind};

use crate::current;
use crate::reactor::Shared;
use crate::readiness::{Direction, Learned};
use crate::source::{Place, Source};

/// A non-blocking descriptor, registered with a reactor: sockets, pipes, terminals, anything that the system can poll.
///
/// Operations are closures that try once; they run when the descriptor is ready for them, and again when they say
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
///
/// | waits | who | for |
/// |---|---|---|
/// | [`read_with`](Self::read_with), [`write_with`](Self::write_with) | any number of tasks | an operation to succeed |
/// | [`readable`](Self::readable), [`writable`](Self::writable) | any number of tasks | a direction to be ready; go on with [`try_io`](Self::try_io) |
/// | `poll_read_*`, `poll_write_*` | one task for each direction | the same as `read_with`; for implementing I/O traits |
///
/// Operations on the descriptor itself ([`get_ref`](Self::get_ref)) are allowed, but what they find out is not
/// noticed: a loop of `readable` and a direct read that would block spins.
///
/// Start a non-blocking connect before the socket is registered: until then it counts as hung up.
pub struct Async<T: AsFd> {
    /// The descriptor; `None` only once `into_inner` has taken it.
    io: Option<T>,
    /// Its registration. Closed before the descriptor is given up.
    source: Arc<Source>,
    /// The reactor it is registered with.
    shared: Arc<Shared>,
}

impl<T: AsFd> Async<T> {
    /// Registers a descriptor with the reactor of this thread, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// Outside of a running loop; where the descriptor is registered already; where the system can't poll it
    /// (regular files are always ready and can block: use a thread for them); and where it has too many.
    pub fn new(io: T) -> io::Result<Async<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Async::new_nonblocking(io)
    }

    /// Registers a descriptor that is non-blocking already, which saves a system call.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn new_nonblocking(io: T) -> io::Result<Async<T>> {
        let shared = current::current().ok_or_else(|| {
            io::Error::other(
                "no loop is running on this thread: register descriptors from within a running loop",
            )
        })?;
        let source = shared.register(io.as_fd())?;
        Ok(Async { io: Some(io), source, shared })
    }

    /// The descriptor.
    #[inline]
    pub fn get_ref(&self) -> &T {
        self.io.as_ref().expect("only into_inner, which consumes the Async, takes the descriptor")
    }

    /// Deregisters the descriptor and gives it back. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// Where the system refuses to deregister it, which means that somebody else has closed it.
    pub fn into_inner(mut self) -> io::Result<T> {
        self.deregister()?;
        Ok(self.io.take().expect("only into_inner, which consumes the Async, takes the descriptor"))
    }

    /// Deregisters the descriptor, which itself stays open until this is dropped.
    ///
    /// Tasks that wait for it, and operations from now on, get an error of kind
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted). Closing twice is harmless.
    ///
    /// # Errors
    ///
    /// Where the system refuses to deregister it, which means that somebody else has closed it.
    pub fn close(&self) -> io::Result<()> {
        self.deregister()
    }

    /// Waits until the descriptor is readable, or at its end, or in error.
    ///
    /// It stays so until an operation given to `try_io`, `read_with` or a poll method would block.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost: the descriptor stays readable.
    ///
    /// # Errors
    ///
    /// Where the descriptor is [closed](Self::close).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Direction::Read).await
    }

    /// Waits until the descriptor is writable, or connected, or in error. See [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// Where the descriptor is [closed](Self::close).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Direction::Write).await
    }

    /// Tries an operation now, without waiting.
    ///
    /// # Errors
    ///
    /// Those of `op`, and [`WouldBlock`](io::ErrorKind::WouldBlock) where the descriptor is known not to be ready.
    pub fn try_io<R>(&self, direction: Direction, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(direction, &mut op, |_| false).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Does a reading operation (a read, a receive, an accept) as soon as it does not block.
    ///
    /// Any number of tasks may wait at once.
    ///
    /// # Cancellation
    ///
    /// Either the operation was done and its result is returned, or it was not done.
    ///
    /// # Errors
    ///
    /// Those of `op`, but neither `WouldBlock` nor `Interrupted`; and where the descriptor is [closed](Self::close).
    pub async fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.complete(Direction::Read, op).await
    }

    /// Does a writing operation as soon as it does not block. See [`read_with`](Self::read_with).
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    pub async fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.complete(Direction::Write, op).await
    }

    /// Polls a reading operation, on behalf of the one task that reads: the last to poll is woken.
    ///
    /// `leaf` is the caller's, one for each direction of its stream: see [`Leaf`].
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    #[inline]
    pub fn poll_read_with<R>(
        &self,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_read_drained(leaf, cx, op, |_| false)
    }

    /// Polls a writing operation, on behalf of the one task that writes. See [`poll_read_with`](Self::poll_read_with).
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    #[inline]
    pub fn poll_write_with<R>(
        &self,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_write_drained(leaf, cx, op, |_| false)
    }

    /// As [`poll_read_with`](Self::poll_read_with), where the result may show that nothing is left to be read.
    ///
    /// If `drained` says so, the next read waits without trying first, which saves the call that would block. It is
    /// for stream sockets, where a read that gives less than it was asked for has emptied the socket. An end of
    /// stream or an error that was reported with the data is not forgotten. Not for Unix sockets that receive
    /// descriptors or credentials, nor for urgent data: reads stop short at those.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    #[inline]
    pub fn poll_read_drained<R>(
        &self,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        self.poll_complete(Direction::Read, &mut Place::Slot, leaf, cx, op, drained)
    }

    /// As [`poll_read_drained`](Self::poll_read_drained), for writing: a short write has filled the socket.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    #[inline]
    pub fn poll_write_drained<R>(
        &self,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        op: impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        self.poll_complete(Direction::Write, &mut Place::Slot, leaf, cx, op, drained)
    }

    /// Waits until the poller has reported a direction.
    async fn ready(&self, direction: Direction) -> io::Result<()> {
        let (mut leaf, mut place) = (Leaf::new(), Place::list(&self.source));
        let attempt = || {
            let seen = self.source.readiness.load();
            if seen.is_closed() { Some(Err(closed())) } else { seen.is_ready(direction).then_some(Ok(())) }
        };
        poll_fn(|cx| self.poll_attempt(direction, &mut place, &mut leaf, cx, attempt)).await
    }

    /// Waits until an operation has not blocked.
    async fn complete<R>(
        &self,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let (mut leaf, mut place) = (Leaf::new(), Place::list(&self.source));
        poll_fn(|cx| self.poll_complete(direction, &mut place, &mut leaf, cx, &mut op, |_| false)).await
    }

    #[inline]
    fn poll_complete<R>(
        &self,
        direction: Direction,
        place: &mut Place<'_>,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        self.poll_attempt(direction, place, leaf, cx, || self.attempt(direction, &mut op, &drained))
    }

    /// One poll of anything that waits: attempt, wait, and attempt again if something was reported in between.
    #[inline]
    fn poll_attempt<R>(
        &self,
        direction: Direction,
        place: &mut Place<'_>,
        leaf: &mut Leaf,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Option<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        ready!(leaf.enter(cx));
        let mut result = attempt();
        if result.is_none() {
            result = match self.wait(direction, place, cx) {
                // An error because the source was closed in between is better told by the attempt.
                Err(error) if !self.source.readiness.load().is_closed() => Some(Err(error)),
                _ => attempt(),
            };
        }
        match result {
            Some(result) => {
                leaf.done();
                Poll::Ready(result)
            }
            None => {
                leaf.wait(match direction {
                    Direction::Read => WaitKind::Readable,
                    Direction::Write => WaitKind::Writable,
                });
                Poll::Pending
            }
        }
    }

    /// Runs `op` until it says something, as long as the descriptor may be ready; `None` if it is not.
    #[inline]
    fn attempt<R>(
        &self,
        direction: Direction,
        op: &mut impl FnMut(&T) -> io::Result<R>,
        drained: impl Fn(&R) -> bool,
    ) -> Option<io::Result<R>> {
        let readiness = &self.source.readiness;
        loop {
            // Before the operation: a report that comes during it must not be cleared by what it finds.
            let seen = readiness.load();
            if seen.is_closed() {
                return Some(Err(closed()));
            }
            if !seen.worth_trying(direction) {
                return None;
            }
            match op(self.get_ref()) {
                Ok(value) => {
                    if drained(&value) {
                        readiness.clear(seen, direction, Learned::Drained);
                    }
                    return Some(Ok(value));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    readiness.clear(seen, direction, Learned::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Has the task woken by the next report; the caller then looks once more.
    fn wait(&self, direction: Direction, place: &mut Place<'_>, cx: &Context<'_>) -> io::Result<()> {
        let poller = self.shared.poller();
        self.source.wait(place, direction, cx.waker(), |interest| match poller.is_oneshot() {
            true => poller.arm(self.get_ref().as_fd(), self.source.key, interest()),
            false => Ok(()),
        })
    }

    fn deregister(&self) -> io::Result<()> {
        match &self.io {
            Some(io) => self.shared.deregister(io.as_fd(), &self.source),
            None => Ok(()),
        }
    }
}

#[cold]
fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the descriptor was closed on this side (`Async::close`): it can't be waited for any more",
    )
}

impl<T: AsFd> Drop for Async<T> {
    fn drop(&mut self) {
        // Before the descriptor is closed, which happens when the fields are dropped. An error means that it was
        // closed already, and then the system has forgotten it too.
        let _ = self.deregister();
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("io", self.get_ref()).finish_non_exhaustive()
    }
}
