//! Signals of the operating system, awaited.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kumihimo_reactor::Async;
use rustix::io::Errno;
use signal_hook_registry::SigId;

use crate::signal_kind::SignalKind;
use crate::socket;

/// Waits for a signal.
///
/// Each `Signal` gets every signal of its kind that arrives while it exists; any number may exist for one kind. As
/// everywhere on Unix, signals of a kind that arrive before anybody looks may count as one.
///
/// From the first `Signal` for a kind on, the system's default action for that kind (ending the process, say) is off for
/// the rest of the process, even once every `Signal` is dropped.
///
/// ```no_run
/// use kumihimo_net::{Signal, SignalKind};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut terminate = Signal::new(SignalKind::TERMINATE)?;
/// terminate.recv().await?;
/// println!("shutting down");
/// # Ok(())
/// # }
/// ```
#[doc(alias = "asyncio.loop.add_signal_handler")]
pub struct Signal {
    /// What we wait for.
    kind: SignalKind,
    /// The handler's action, which holds the writing end of the pair and writes a byte per signal.
    action: SigId,
    /// The reading end: readable when a signal has arrived that `recv` has not returned yet.
    arrivals: Async<UnixStream>,
}

impl Signal {
    /// Begins to listen for signals of this kind (a [`SignalKind`], or the number).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and `SIGSEGV`, which cannot be handled this way, and
    /// for numbers that are no signal; where no loop runs on this thread, or descriptors have run out.
    pub fn new(kind: impl Into<SignalKind>) -> io::Result<Signal> {
        let kind = kind.into();
        if signal_hook_registry::FORBIDDEN.contains(&kind.as_raw()) {
            return Err(unusable(kind, "it cannot be handled"));
        }
        let (reader, writer) = UnixStream::pair()?;
        socket::no_sigpipe(&writer)?;
        writer.set_nonblocking(true)?;
        let arrivals = Async::new(reader)?;
        // If the pair is full, `recv` has plenty to return already.
        let note = move || drop(socket::send(&writer, &[0]));
        // SAFETY: the action makes one `send` on a non-blocking socket, which POSIX lists as async-signal-safe; it takes no
        // lock, allocates nothing (the error it drops is a number) and cannot panic. The registry keeps `errno`.
        let action = unsafe { signal_hook_registry::register(kind.as_raw(), note) }.map_err(|e| {
            if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) {
                unusable(kind, "there is no such signal")
            } else {
                e
            }
        })?;
        if kind == SignalKind::INTERRUPT {
            INTERRUPT_LISTENERS.fetch_add(1, SeqCst);
        }
        Ok(Signal { kind, action, arrivals })
    }

    /// Waits for the next signal. One that arrived since the last call, or since `new`, is returned at once.
    ///
    /// # Cancellation
    ///
    /// Loses no signal.
    ///
    /// # Errors
    ///
    /// Where the loop on which the `Signal` was made has ended.
    pub async fn recv(&mut self) -> io::Result<()> {
        // One read takes all that arrived so far. Of very many, some are left, which wake the next call: they, too,
        // arrived after the last one.
        let mut arrived = [0; 64];
        match crate::stream::read(&self.arrivals, &mut arrived).await? {
            0 => Err(io::Error::other(format!("the handler of {} was removed by other code", self.kind))),
            _ => Ok(()),
        }
    }

    /// What the `Signal` listens for.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }
}

fn unusable(kind: SignalKind, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("cannot listen for {kind}: {why}"))
}

/// `Signal`s that listen for Ctrl-C.
static INTERRUPT_LISTENERS: AtomicUsize = AtomicUsize::new(0);

/// Whether some [`Signal`] listens for Ctrl-C: then the runtime does not give it its default meaning. Async-signal-safe.
#[doc(hidden)]
pub fn is_interrupt_awaited() -> bool {
    INTERRUPT_LISTENERS.load(SeqCst) > 0
}

impl Drop for Signal {
    fn drop(&mut self) {
        if self.kind == SignalKind::INTERRUPT {
            INTERRUPT_LISTENERS.fetch_sub(1, SeqCst);
        }
        // False where other code has removed every action of that signal.
        signal_hook_registry::unregister(self.action);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.kind).finish()
    }
}
