//! Blocking signals for a thread, and for what it starts.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

/// The signals that this thread had blocked.
#[must_use = "the signals stay blocked until the mask is restored"]
pub(super) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Blocks these signals for this thread, besides those that are.
    pub(super) fn block(signals: &[c_int]) -> SignalMask {
        change(libc::SIG_BLOCK, &set(signals))
    }

    /// Blocks all signals for this thread.
    pub(super) fn block_all() -> SignalMask {
        let mut all = MaybeUninit::uninit();
        // SAFETY: `sigfillset` initializes its argument.
        let all = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            all.assume_init()
        };
        change(libc::SIG_SETMASK, &all)
    }

    /// Makes the mask what it was.
    pub(super) fn restore(self) {
        let _blocked = change(libc::SIG_SETMASK, &self.0);
    }
}

/// Lets this thread have all signals.
pub(super) fn unblock_all() {
    let _blocked = change(libc::SIG_SETMASK, &set(&[]));
}

fn set(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initializes its argument; `sigaddset` gets it after that, and refuses numbers of no signal.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn change(how: c_int, signals: &libc::sigset_t) -> SignalMask {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are places of the right type; the first is initialized, and `pthread_sigmask`, which can't fail with a
    // valid way of changing, writes the second.
    unsafe {
        libc::pthread_sigmask(how, ptr::from_ref(signals), before.as_mut_ptr());
        SignalMask(before.assume_init())
    }
}
