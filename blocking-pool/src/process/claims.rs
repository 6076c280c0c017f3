//! A word that a worker and its pool share, and by which they agree on which calls have begun.
//!
//! A worker may be sent calls ahead, so that it need not wait for each; yet a call that has not begun can be had back at
//! once, for another worker or because nobody wants it. The word holds the *turn* and how many calls the worker has begun. Each
//! call is sent with the turn of that time. A worker begins a call by counting it, if the turn is still the call's; the pool takes
//! back all that have not begun by going on to the next turn. Both are one compare-and-swap, so each call is either begun or
//! had back. A worker throws calls of past turns away.
//!
//! All orderings are Relaxed: nothing but the word itself is shared that way.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::pass_fd;

/// The bytes that are mapped: the word only, but the system maps whole pages.
const LENGTH: usize = size_of::<AtomicU64>();

/// One process's view of the word. A new one says turn 0, and that no call has begun.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Mapped until this is dropped.
    word: NonNull<AtomicU64>,
}

// SAFETY: all that is done with the pointer, other than unmapping it in `drop`, is atomic.
unsafe impl Send for Claims {}
// SAFETY: as above.
unsafe impl Sync for Claims {}

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) turn: u32,
    /// The calls that were begun since the start, modulo 2³².
    pub(crate) begun: u32,
}

impl Claimed {
    fn from_word(word: u64) -> Claimed {
        Claimed { turn: (word >> 32) as u32, begun: word as u32 }
    }

    fn into_word(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.begun)
    }
}

impl Claims {
    /// Pool: a new word, which the worker at the other end of the socket gets. It must be the first thing that is sent there. `None`
    /// where the system has no memory to share: then a worker gets one call at a time.
    ///
    /// # Errors
    ///
    /// The socket does not work.
    pub(super) fn offer(socket: &UnixStream) -> io::Result<Option<Claims>> {
        let claims = Claims::new().ok();
        pass_fd::send(socket, &[0], claims.as_ref().map(|(_, fd)| fd.as_fd()))?;
        Ok(claims.map(|(claims, _)| claims))
    }

    /// Worker: the word that the pool has offered. It is the first thing to be received.
    ///
    /// # Errors
    ///
    /// The socket does not work, or the memory can't be mapped.
    pub(super) fn accept(socket: &UnixStream) -> io::Result<Option<Claims>> {
        let (_, fd) = pass_fd::receive(socket, &mut [0])?;
        fd.map(|fd| Claims::map(&fd)).transpose()
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
        let word = unsafe {
            mmap(ptr::null_mut(), LENGTH, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0)?
        };
        let word = NonNull::new(word.cast()).ok_or_else(|| io::Error::other("nothing was mapped"))?;
        Ok(Claims { word })
    }

    /// Worker: begins a call of this turn; false if it was taken back.
    pub(crate) fn begin(&self, turn: u32) -> bool {
        let begin = |word| {
            let claimed = Claimed::from_word(word);
            let begun = claimed.begun.wrapping_add(1);
            (claimed.turn == turn).then(|| Claimed { begun, ..claimed }.into_word())
        };
        self.word().fetch_update(Relaxed, Relaxed, begin).is_ok()
    }

    /// Pool: goes on to the next turn. What has begun by now is what will have begun of the turns before.
    pub(crate) fn next_turn(&self) -> Claimed {
        let next = |word| {
            let claimed = Claimed::from_word(word);
            Some(Claimed { turn: claimed.turn.wrapping_add(1), ..claimed }.into_word())
        };
        let before = self.word().fetch_update(Relaxed, Relaxed, next).unwrap_or_else(|word| word);
        let before = Claimed::from_word(before);
        Claimed { turn: before.turn.wrapping_add(1), ..before }
    }

    /// Pool: how many calls have begun at least.
    pub(crate) fn begun(&self) -> u32 {
        Claimed::from_word(self.word().load(Relaxed)).begun
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped until `drop`, aligned to a page, and large enough; all bytes make a valid word, and all accesses, in both
        // processes, are atomic.
        unsafe { self.word.as_ref() }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // SAFETY: our own mapping, of that length, to which no reference is left.
        let unmapped = unsafe { munmap(self.word.as_ptr().cast(), LENGTH) };
        debug_assert!(unmapped.is_ok(), "a mapping can be given up");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_call_is_begun_or_had_back() {
        let (pool, fd) = Claims::new().unwrap();
        let worker = Claims::map(&fd).unwrap();
        assert!(worker.begin(0));
        assert_eq!(pool.begun(), 1);
        assert_eq!(pool.next_turn(), Claimed { turn: 1, begun: 1 });
        assert!(!worker.begin(0));
        assert!(worker.begin(1));
        assert_eq!(pool.begun(), 2);
    }

    #[test]
    fn both_count_the_same() {
        let (pool, fd) = Claims::new().unwrap();
        let worker = Claims::map(&fd).unwrap();
        let (is_over, turn) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            let begun = scope.spawn(|| {
                let mut begun = 0_u32;
                while !is_over.load(Relaxed) {
                    begun += u32::from(worker.begin(turn.load(Relaxed) as u32));
                }
                begun
            });
            for _ in 0..10_000 {
                turn.store(u64::from(pool.next_turn().turn), Relaxed);
            }
            is_over.store(true, Relaxed);
            assert_eq!(begun.join().unwrap(), pool.begun());
        });
    }
}
