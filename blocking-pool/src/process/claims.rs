//! Memory that a worker shares with its pool: which calls have begun.
//!
//! A worker may be sent calls ahead, so that it need not wait for each; yet a call that has not begun can be had back at
//! once, for another worker or because nobody wants it. `turns.rs` has the protocol; this is how both come to one word.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::pass_fd;
use crate::turns::Turns;

/// The bytes that are mapped: the word only, but the system maps whole pages.
const LENGTH: usize = size_of::<Turns>();

/// One process's view of the word.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Mapped until this is dropped.
    turns: NonNull<Turns>,
}

// SAFETY: all that is done with the pointer, other than unmapping it in `drop`, is atomic.
unsafe impl Send for Claims {}
// SAFETY: as above.
unsafe impl Sync for Claims {}

impl Claims {
    /// Pool: a new word, which the worker at the other end of the socket gets. It must be the first thing that is sent there. `None`
    /// where the system has no memory to share: then a worker gets one call at a time.
    ///
    /// # Errors
    ///
    /// The socket does not work.
    pub(super) fn offer(socket: &UnixStream) -> io::Result<Option<Claims>> {
        let claims = Claims::new().ok();
        // The byte says whether a descriptor has to come with it.
        pass_fd::send(socket, &[claims.is_some().into()], claims.as_ref().map(|(_, fd)| fd.as_fd()))?;
        Ok(claims.map(|(claims, _)| claims))
    }

    /// Worker: the word that the pool has offered. It is the first thing to be received.
    ///
    /// # Errors
    ///
    /// The socket does not work, or the memory can't be mapped.
    pub(super) fn accept(socket: &UnixStream) -> io::Result<Option<Claims>> {
        let mut is_offered = [0];
        let (_, fd) = pass_fd::receive(socket, &mut is_offered)?;
        match fd {
            Some(fd) => Claims::map(&fd).map(Some),
            // The pool would take calls for not begun that were.
            None if is_offered != [0] => Err(io::Error::other("its descriptor did not arrive")),
            None => Ok(None),
        }
    }

    /// A new word, and the descriptor by which another process comes to it.
    #[cfg(target_os = "linux")]
    fn new() -> io::Result<(Claims, OwnedFd)> {
        use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

        let fd = memfd_create(c"kumihimo-claims", MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, LENGTH as u64)?;
        Ok((Claims::map(&fd)?, fd))
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> io::Result<(Claims, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The word of another process.
    fn map(fd: &OwnedFd) -> io::Result<Claims> {
        // SAFETY: a new mapping, at an address of the system's choice, of a file that has that length for good.
        let turns = unsafe {
            mmap(ptr::null_mut(), LENGTH, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0)?
        };
        let turns = NonNull::new(turns.cast()).ok_or_else(|| io::Error::other("nothing was mapped"))?;
        Ok(Claims { turns })
    }
}

impl Deref for Claims {
    type Target = Turns;

    fn deref(&self) -> &Turns {
        // SAFETY: mapped until `drop`, aligned to a page, and large enough; zero at first, which is a new `Turns`, and changed, in
        // both processes, through its atomic only.
        unsafe { self.turns.as_ref() }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // SAFETY: our own mapping, of that length, to which no reference is left.
        let unmapped = unsafe { munmap(self.turns.as_ptr().cast(), LENGTH) };
        debug_assert!(unmapped.is_ok(), "a mapping can be given up");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;

    use super::*;

    #[test]
    fn two_mappings_are_one_word() {
        let (pool, fd) = Claims::new().unwrap();
        let worker = Claims::map(&fd).unwrap();
        let turn = AtomicU32::new(0);
        thread::scope(|scope| {
            let begun = scope.spawn(|| {
                let mut begun = 0;
                while turn.load(Relaxed) < 10_000 {
                    begun += u32::from(worker.begin(turn.load(Relaxed)));
                }
                begun
            });
            for _ in 0..10_000 {
                turn.store(pool.next().turn, Relaxed);
            }
            assert_eq!(begun.join().unwrap(), pool.begun());
        });
    }
}
