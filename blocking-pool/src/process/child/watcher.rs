//! Ends the worker when the pool's process is gone, whatever the worker is doing.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

use crate::process::signal_mask::SignalMask;

/// The watcher calls one function, in a loop.
const STACK: usize = 64 * 1024;

/// Starts the thread that waits for the pool's end of the socket to be closed.
///
/// A pool that has merely stopped sending (`shutdown` of its writing side) is not gone: it waits for replies.
///
/// # Errors
///
/// The system has no more threads.
pub(super) fn start(socket: &'static UnixStream) -> io::Result<()> {
    // Signals are for the thread that runs the calls; a new thread inherits the mask.
    let before = SignalMask::block_all();
    let started =
        thread::Builder::new().name("kumihimo-watch".to_string()).stack_size(STACK).spawn(|| watch(socket));
    before.restore();
    started.map(drop)
}

fn watch(socket: &UnixStream) {
    loop {
        // No events are asked for; a hang-up is always told.
        let mut polled = [PollFd::new(socket, PollFlags::empty())];
        // An error here is an interruption.
        if poll(&mut polled, None).is_ok() && !polled[0].revents().is_empty() {
            // Nobody is there to learn the code. Not `exit`: its handlers could wait for the call that runs.
            // SAFETY: may be called at any time.
            unsafe { libc::_exit(0) };
        }
    }
}
