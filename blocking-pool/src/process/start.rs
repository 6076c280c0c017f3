//! How the processes of a pool come to be.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::sync::{Arc, Mutex, PoisonError};

use super::child_process::ChildProcess;
use super::claims::Claims;
use super::hook::{self, Role, VARIABLE};
use super::image;
use super::signal_mask::SignalMask;

#[cfg(target_os = "linux")]
use super::zygote::Zygote;

/// How a process pool starts its workers.
///
/// Either way a worker runs this same executable (on Linux even if the file was replaced or deleted meanwhile), does
/// not come to its `main`, shares no memory with the pool's process, and inherits none of its descriptors but
/// standard output and error; its standard input is empty. Its arguments are the program's, its working directory and
/// environment the pool's.
///
/// | | starts from | a worker costs | works on |
/// |---|---|---|---|
/// | `Spawn` | the executable | loading the program, about a millisecond | Linux (Android and FreeBSD: untried) |
/// | `ForkServer` | a copy of the program that waits just before `main` | a `fork` of that, less than a millisecond | Linux 5.4 |
///
/// What differs: workers of a `ForkServer` have the environment and the working directory that the pool's process had
/// when the first of them was started, and they are children of the waiting copy, as the system sees it. There is no
/// `fork` of the pool's own process, which has threads.
///
/// ```
/// use kumihimo_blocking_pool::process::{ProcessPoolExecutor, StartMethod};
///
/// # fn example() -> std::io::Result<()> {
/// let pool = ProcessPoolExecutor::builder().start_method(StartMethod::ForkServer).build()?;
/// # drop(pool);
/// # Ok(())
/// # }
/// # assert_eq!(StartMethod::default(), StartMethod::Spawn);
/// ```
#[doc(alias = "multiprocessing.get_context")]
#[doc(alias = "multiprocessing.set_start_method")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartMethod {
    /// Each worker is a new process of this executable.
    #[default]
    Spawn,
    /// Each worker is forked by a process that was spawned for that purpose, and has one thread and no history.
    ForkServer,
}

/// Starts the workers of one pool.
pub(crate) struct Starter {
    method: StartMethod,
    /// The fork server that was used last; started with the first worker.
    #[cfg(target_os = "linux")]
    zygote: Mutex<Option<Arc<Zygote>>>,
}

/// A worker that was started. It waits for the pool's first words.
#[derive(Debug)]
pub(crate) struct Started {
    /// The pool's end of the socket, which blocks. Closing it means that the pool is gone: the worker ends at once.
    pub(crate) stream: UnixStream,
    pub(crate) process: ChildProcess,
    /// Which calls it has begun.
    pub(crate) claims: Option<Claims>,
}

impl Starter {
    /// A starter that has started nothing.
    ///
    /// # Errors
    ///
    /// Workers can't be started that way here; the text says why.
    pub(crate) fn new(method: StartMethod) -> io::Result<Starter> {
        let reason = if !image::KNOWN {
            "process pools do not work on this platform: how to find the program's functions is not known"
        } else if !hook::keep() {
            "worker processes are copies of the main program, but the process pool is part of a shared library here; \
             link it into the program itself"
        } else if method == StartMethod::ForkServer && !cfg!(target_os = "linux") {
            "the start method `ForkServer` needs Linux; use `Spawn`, which works here"
        } else {
            return Ok(Starter {
                method,
                #[cfg(target_os = "linux")]
                zygote: Mutex::new(None),
            });
        };
        Err(io::Error::new(io::ErrorKind::Unsupported, reason))
    }

    /// Starts a worker. Blocks for some milliseconds, but does not wait until the worker is ready.
    ///
    /// # Errors
    ///
    /// The system does not allow another process, or the executable is not to be found; the text says which.
    pub(crate) fn start(&self) -> io::Result<Started> {
        match self.method {
            StartMethod::Spawn => self.start_with(|theirs| execute(Role::Worker, theirs.into())),
            StartMethod::ForkServer => self.fork(),
        }
    }

    /// Starts a worker whose end of a new socket is this.
    fn start_with(&self, start: impl FnOnce(UnixStream) -> io::Result<ChildProcess>) -> io::Result<Started> {
        let (stream, theirs) = UnixStream::pair().map_err(explain("no socket for a worker process"))?;
        let claims = Claims::offer(&stream).map_err(explain("a worker process's socket does not work"))?;
        Ok(Started { stream, process: start(theirs)?, claims })
    }

    #[cfg(target_os = "linux")]
    fn fork(&self) -> io::Result<Started> {
        let mut place = self.zygote.lock().unwrap_or_else(PoisonError::into_inner);
        for last_attempt in [false, true] {
            let zygote = match place.take().filter(|zygote| !zygote.is_broken()) {
                Some(zygote) => zygote,
                None => Zygote::start()?,
            };
            // Each attempt has a socket of its own: one that has failed may have forked all the same, and that worker ends when it
            // finds this end closed.
            let started = self.start_with(|theirs| zygote.fork(&theirs).map(ChildProcess::forked));
            let broken = zygote.is_broken();
            *place = Some(zygote);
            match started {
                Ok(started) => return Ok(started),
                // It may have been killed a while ago; a new one will do.
                Err(_) if broken && !last_attempt => {}
                Err(error) => return Err(explain("the fork server could not fork a worker process")(error)),
            }
        }
        unreachable!("the last attempt returns")
    }

    #[cfg(not(target_os = "linux"))]
    fn fork(&self) -> io::Result<Started> {
        unreachable!("there is no starter of this kind here")
    }
}

/// Starts this program once more, in a role, with its end of a socket.
pub(super) fn execute(role: Role, socket: OwnedFd) -> io::Result<ChildProcess> {
    let mut arguments = env::args_os();
    let mut command = Command::new(executable()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    command.env(OsStr::from_bytes(VARIABLE.to_bytes()), OsStr::from_bytes(role.value().to_bytes()));
    // The only descriptor besides the two outputs that the process gets: all others are closed by `exec`.
    command.stdin(socket);
    // Ctrl-C goes to all processes of a terminal. The child inherits this, until it has a handler.
    let mask = SignalMask::block(&[libc::SIGINT]);
    let child = command.spawn();
    mask.restore();
    let what = match &child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "a worker process could not be started, as the program's own file is not found (is /proc mounted?)"
        }
        _ => "a worker process could not be started",
    };
    Ok(ChildProcess::own(child.map_err(explain(what))?))
}

/// The file of this program, whatever has become of its name.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn executable() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// The file of this program; its name at least.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn executable() -> io::Result<PathBuf> {
    env::current_exe().map_err(explain("the program's own file, for worker processes, is not known"))
}

/// Adds what was tried to an error.
pub(super) fn explain(what: &'static str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
