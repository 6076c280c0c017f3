//! Ends the worker when the pool's process is gone, whatever the worker is doing.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};

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
    let before = Mask::block_all();
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

/// The signals that a thread had blocked.
struct Mask(libc::sigset_t);

impl Mask {
    /// Blocks all signals for this thread.
    fn block_all() -> Mask {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigfillset` initializes its argument, which is then read; `pthread_sigmask` can't fail with a
        // valid way of changing, and writes the mask that was.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Mask(before.assume_init())
        }
    }

    /// Makes the mask what it was.
    fn restore(self) {
        // SAFETY: a mask that the system gave us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}
