//! A worker's process as the pool sees it: alive or ended, and how.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

#[cfg(target_os = "linux")]
use super::zygote::Forked;

/// How long to wait between two looks at a process that can't be polled.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A process that was started for a pool. It never stays as a zombie: dropping the value kills and reaps it.
pub(crate) struct ChildProcess {
    /// Whose child it is.
    kind: Kind,
    /// How it ended. From when this is known, its id may be another process's.
    exit: Option<Exit>,
}

enum Kind {
    /// Our own child.
    Own {
        child: Child,
        /// Becomes readable when it ends; where there is such a thing.
        pidfd: Option<OwnedFd>,
    },
    /// The zygote's.
    #[cfg(target_os = "linux")]
    Forked(Forked),
}

impl ChildProcess {
    /// Takes charge of a child that nobody has waited for.
    pub(super) fn own(child: Child) -> ChildProcess {
        let pidfd = pidfd_open(&child);
        ChildProcess { kind: Kind::Own { child, pidfd }, exit: None }
    }

    /// Takes charge of a child of the zygote.
    #[cfg(target_os = "linux")]
    pub(super) fn forked(forked: Forked) -> ChildProcess {
        ChildProcess { kind: Kind::Forked(forked), exit: None }
    }

    /// The process's id. After the end it may be another process's.
    pub(crate) fn id(&self) -> u32 {
        match &self.kind {
            Kind::Own { child, .. } => child.id(),
            #[cfg(target_os = "linux")]
            Kind::Forked(forked) => forked.id(),
        }
    }

    /// A descriptor that is readable when the process has ended, on systems that have such.
    pub(crate) fn pidfd(&self) -> Option<OwnedFd> {
        self.polled()?.try_clone_to_owned().ok()
    }

    /// Sends a signal. If the process has ended, nothing happens.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        let sent = match (&self.kind, self.polled()) {
            #[cfg(target_os = "linux")]
            (_, Some(pidfd)) => rustix::process::pidfd_send_signal(pidfd, signal),
            // Our child has not been waited for, so the id is its own still.
            (Kind::Own { child, .. }, _) => kill_process(Pid::from_child(child), signal),
            #[cfg(target_os = "linux")]
            (Kind::Forked(_), None) => unreachable!("a forked process has a pidfd"),
        };
        match sent {
            Err(Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// How the process ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// The system does not tell.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            self.exit = match &mut self.kind {
                Kind::Own { child, .. } => try_wait(child)?,
                #[cfg(target_os = "linux")]
                Kind::Forked(forked) => {
                    readable(forked.pidfd(), Some(Duration::ZERO))?.then(|| forked.exit())
                }
            };
        }
        Ok(self.exit)
    }

    /// Ends the process: waits as long as `patience` for it to end by itself, then kills it. Blocks.
    ///
    /// Kill means `SIGKILL`, which a process can't refuse; still the system may take its time.
    pub(crate) fn end(&mut self, patience: Duration) -> Exit {
        if !self.wait(Some(patience)) {
            // If it can't be killed, because it has become another user's, all that can be done is to wait.
            let _ = self.signal(Signal::KILL);
            self.wait(None);
        }
        *self.exit.get_or_insert(Exit::Unknown)
    }

    /// Waits for the end; true if it has come.
    fn wait(&mut self, patience: Option<Duration>) -> bool {
        let end = patience.and_then(|patience| Instant::now().checked_add(patience));
        loop {
            match self.try_wait() {
                Ok(None) => {}
                Ok(Some(_)) => return true,
                // What can't be asked for will not be told later.
                Err(_) => {
                    self.exit = Some(Exit::Unknown);
                    return true;
                }
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return false;
            }
            match self.polled() {
                // An error comes back at the next look.
                Some(pidfd) => drop(readable(pidfd, left)),
                None => thread::sleep(LOOK_AGAIN.min(left.unwrap_or(LOOK_AGAIN))),
            }
        }
    }

    fn polled(&self) -> Option<BorrowedFd<'_>> {
        match &self.kind {
            Kind::Own { pidfd, .. } => pidfd.as_ref().map(AsFd::as_fd),
            #[cfg(target_os = "linux")]
            Kind::Forked(forked) => Some(forked.pidfd()),
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.end(Duration::ZERO);
        }
    }
}

impl fmt::Debug for ChildProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildProcess")
            .field("id", &self.id())
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

/// How our own child ended.
fn try_wait(child: &mut Child) -> io::Result<Option<Exit>> {
    match child.try_wait() {
        Ok(status) => Ok(status.map(Exit::of)),
        // Somebody else has waited for it, or SIGCHLD is ignored, so that the system has.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Some(Exit::Unknown)),
        Err(error) => Err(error),
    }
}

/// Whether the descriptor becomes readable in time.
pub(super) fn readable(fd: BorrowedFd<'_>, patience: Option<Duration>) -> io::Result<bool> {
    // A duration that the system can't express is as good as for ever.
    let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn pidfd_open(child: &Child) -> Option<OwnedFd> {
    use rustix::process::PidfdFlags;

    // Nobody has waited for the child, so the id is its own.
    rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn pidfd_open(_: &Child) -> Option<OwnedFd> {
    None
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else was told.
    Unknown,
}

impl Exit {
    fn of(status: std::process::ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt;

        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
            Exit::Unknown => f.write_str("ended; how is not known"),
        }
    }
}

/// The names of the signals that end processes.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn start(program: &str, arguments: &[&str]) -> ChildProcess {
        ChildProcess::own(Command::new(program).args(arguments).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Whether there is such a process, a zombie included.
    fn exists(id: u32) -> bool {
        std::path::Path::new(&format!("/proc/{id}")).exists()
    }

    #[test]
    fn how_it_ended() {
        let long = Duration::from_secs(60);
        assert_eq!(start("sh", &["-c", "exit 3"]).end(long), Exit::Code(3));
        let mut sleeper = start("sleep", &["60"]);
        assert_eq!(sleeper.try_wait().unwrap(), None);
        sleeper.signal(Signal::TERM).unwrap();
        assert_eq!(sleeper.end(long), Exit::Signal(15));
        assert_eq!(sleeper.try_wait().unwrap(), Some(Exit::Signal(15)));
        sleeper.signal(Signal::KILL).unwrap();
        assert!(!exists(sleeper.id()));
        assert_eq!(start("sleep", &["60"]).end(Duration::from_millis(20)), Exit::Signal(9));
    }

    #[test]
    fn without_a_pidfd_it_works_too() {
        let mut sleeper = start("sleep", &["60"]);
        let Kind::Own { pidfd, .. } = &mut sleeper.kind else { unreachable!() };
        *pidfd = None;
        assert!(sleeper.pidfd().is_none());
        assert!(!sleeper.wait(Some(Duration::from_millis(5))));
        sleeper.signal(Signal::TERM).unwrap();
        assert_eq!(sleeper.end(Duration::MAX), Exit::Signal(15));
    }

    #[test]
    fn dropping_kills_and_reaps() {
        let sleeper = start("sleep", &["60"]);
        let (id, pidfd) = (sleeper.id(), sleeper.pidfd().unwrap());
        assert!(!readable(pidfd.as_fd(), Some(Duration::ZERO)).unwrap());
        drop(sleeper);
        assert!(readable(pidfd.as_fd(), Some(Duration::ZERO)).unwrap());
        assert!(!exists(id));
    }

    #[test]
    fn exits_in_words() {
        assert_eq!(Exit::Code(3).to_string(), "exited with code 3");
        assert_eq!(Exit::Signal(9).to_string(), "was killed by signal 9 (SIGKILL)");
        assert_eq!(Exit::Signal(60).to_string(), "was killed by signal 60");
        assert_eq!(Exit::Unknown.to_string(), "ended; how is not known");
    }
}
