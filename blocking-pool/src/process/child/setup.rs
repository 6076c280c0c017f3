//! What a worker's process needs before it can serve: what Rust's runtime does before `main`, and what differs.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::net::sockopt;

use crate::process::hook::{Role, VARIABLE};
use crate::process::signal_mask;

/// Makes the process what the role needs, and takes the socket from standard input.
///
/// # Errors
///
/// Standard input is not a socket.
pub(super) fn enter(role: Role) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string. There is one thread yet, so nobody reads the environment meanwhile.
    unsafe { libc::unsetenv(VARIABLE.as_ptr()) };
    let socket = take_socket()?;
    signals();
    name(role);
    Ok(socket)
}

/// Gives the process the name that `ps` shows.
pub(super) fn name(role: Role) {
    #[cfg(target_os = "linux")]
    {
        let name = match role {
            Role::Worker => c"kumihimo-proc",
            Role::Zygote => c"kumihimo-zygote",
        };
        // A name is a help for people; without it all works.
        let _ = rustix::thread::set_name(name);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = role;
}

/// Moves the socket to where no program that the functions start inherits it, and puts `/dev/null` in its place.
fn take_socket() -> io::Result<OwnedFd> {
    // SAFETY: used below only, before which nothing closes it. If it is closed already, that is an error there.
    let stdin = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    sockopt::socket_type(stdin)?;
    // Not below 3: output to a stream that was closed must not go to the socket.
    let socket = fcntl_dupfd_cloexec(stdin, libc::STDERR_FILENO + 1)?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| io::Error::other(format!("/dev/null can't be opened: {error}")))?;
    replace(&null, libc::STDIN_FILENO)?;
    for output in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: only looked at, to learn whether it is open.
        if fcntl_getfd(unsafe { BorrowedFd::borrow_raw(output) }) == Err(Errno::BADF) {
            replace(&null, output)?;
        }
    }
    if null.as_raw_fd() <= libc::STDERR_FILENO {
        // `open` has filled a gap among the standard streams; there it stays.
        mem::forget(null);
    }
    Ok(socket)
}

/// Makes `place` another name of `file`, for programs that are started too.
fn replace(file: &OwnedFd, place: RawFd) -> io::Result<()> {
    // SAFETY: `place` is a standard stream; nobody in this process owns it as a descriptor of his own.
    if unsafe { libc::dup2(file.as_raw_fd(), place) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets the signals' actions.
fn signals() {
    // As Rust's runtime: a write to a closed pipe is an error, not the end.
    action(libc::SIGPIPE, libc::SIG_IGN);
    // Ctrl-C goes to all processes of the terminal, and is the pool's to act on. Not ignored, since programs that are
    // started inherit that; unless the pool's own process was told to ignore it.
    if current(libc::SIGINT) != libc::SIG_IGN {
        action(libc::SIGINT, nothing as extern "C" fn(c_int) as libc::sighandler_t);
    }
    // Whatever the pool's process does about it: `terminate_workers` sends it.
    action(libc::SIGTERM, libc::SIG_DFL);
    // Where it is ignored, the kernel forgets how children end: those that a call starts, and a zygote's.
    action(libc::SIGCHLD, libc::SIG_DFL);
    // The pool has blocked SIGINT so that it would find the handler, and the thread that started us may have blocked others.
    signal_mask::unblock_all();
}

extern "C" fn nothing(_: c_int) {}

/// What a signal does.
fn current(signal: c_int) -> libc::sighandler_t {
    // SAFETY: all zero is a `sigaction`.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the signal exists; the old action is written to a place of the right type.
    unsafe { libc::sigaction(signal, ptr::null(), &mut action) };
    action.sa_sigaction
}

/// Sets what a signal does; calls that it interrupts go on.
fn action(signal: c_int, handler: libc::sighandler_t) {
    // SAFETY: all zero is a `sigaction`, with an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the signal exists and can be caught; the handler is the default, to ignore, or does nothing, which is
    // allowed at any moment.
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}
