//! A worker process from the hook to its end.

mod constructors;
#[cfg(target_os = "linux")]
mod fork_server;
mod panic_record;
mod serve;
mod setup;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod watcher;

use std::ffi::{c_char, c_int};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::exit;

use super::hook::{Entry, Role, VARIABLE};

/// The exit code if the variable was set by somebody else (`EX_USAGE`).
const MISUSED: c_int = 64;

/// The exit code if the worker could not begin (`EX_OSERR`).
const BROKEN: c_int = 71;

/// The exit code if what the pool said made no sense, or was refused (`EX_PROTOCOL`).
const PROTOCOL_ERROR: c_int = 76;

/// The exit code after an initializer that failed.
const INITIALIZER_FAILED: c_int = 1;

/// What the loader gives to constructors.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) count: c_int,
    pub(super) arguments: *const *const c_char,
    pub(super) environment: *const *const c_char,
}

/// What a process with the variable does instead of `main`.
pub(super) fn main(role: Option<Role>, hook: Entry, arguments: Arguments) -> ! {
    let variable = VARIABLE.to_string_lossy();
    let Some(role) = role else {
        die(MISUSED, &format!("{variable} has a value that this program does not know; unset it"));
    };
    let socket = match setup::enter(role) {
        Ok(socket) => socket,
        Err(error) => die(
            MISUSED,
            &format!(
                "{variable} is set, but there is no pool behind standard input ({error}); unset it, unless a pool of \
                 this program has started this process: then that is what keeps it from starting"
            ),
        ),
    };
    let socket = match role {
        Role::Worker => UnixStream::from(socket),
        Role::Zygote => fork_workers(socket),
    };
    // What would run between the hook and `main` runs now, so that functions find their program as they know it.
    constructors::run_after(hook, arguments);
    serve::serve(socket)
}

/// Returns in each worker that is forked, with its socket.
#[cfg(target_os = "linux")]
fn fork_workers(control: OwnedFd) -> UnixStream {
    let socket = fork_server::run(control);
    setup::name(Role::Worker);
    socket
}

/// Nobody asks for this here.
#[cfg(not(target_os = "linux"))]
fn fork_workers(_: OwnedFd) -> UnixStream {
    die(MISUSED, "there is no fork server on this platform")
}

/// Ends the process with a word to whoever watches.
fn die(code: c_int, text: &str) -> ! {
    // Not `eprintln`, which panics if nobody listens.
    let _ = writeln!(io::stderr(), "kumihimo: process {}: {text}", std::process::id());
    exit(code)
}
