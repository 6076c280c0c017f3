//! Ctrl-C, as asyncio treats it: the first cancels the main task, the second ends the process.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kumihimo_executor::TaskHandle;
use kumihimo_reactor::Reactor;
use libc::{SIG_DFL, SIGINT};
use signal_hook_registry::SigId;

/// The exit status of a process that Ctrl-C ended: 128 and the signal's number, as shells count.
pub(crate) const EXIT_STATUS: i32 = 128 + SIGINT;

/// `run`s that handle Ctrl-C at the moment. While there is none, it does what it does by default.
static HANDLING: AtomicUsize = AtomicUsize::new(0);

/// What one loop knows of Ctrl-C.
#[derive(Default)]
pub(crate) struct CtrlC {
    /// It was pressed, and main was not cancelled for it yet.
    pressed: AtomicBool,
    /// Main was cancelled for it.
    cancelled: AtomicBool,
    /// The main task, while one runs.
    main: Mutex<Option<TaskHandle>>,
}

/// Handles Ctrl-C until it is dropped.
pub(crate) struct Handling {
    ctrl_c: Arc<CtrlC>,
    action: SigId,
}

impl CtrlC {
    /// Begins to handle Ctrl-C, if this is the process's main thread and nobody else handles it.
    pub(crate) fn handle(self: &Arc<CtrlC>, reactor: Reactor) -> io::Result<Option<Handling>> {
        if !is_main_thread() || !keep_default()? {
            return Ok(None);
        }
        let presses = AtomicUsize::new(0);
        let ctrl_c = self.clone();
        let action = move || {
            if presses.fetch_add(1, Relaxed) > 0 {
                // SAFETY: `_exit` is async-signal-safe; it ends the process.
                unsafe { libc::_exit(EXIT_STATUS) };
            }
            // Release: pairs with the swap in `deliver`.
            ctrl_c.pressed.store(true, Release);
            reactor.interrupt();
        };
        HANDLING.fetch_add(1, SeqCst);
        // SAFETY: the action stores to atomics, exits, or interrupts the reactor, which is async-signal-safe by its
        // documentation. The registry waits for running actions before it drops one.
        let action = unsafe { signal_hook_registry::register(SIGINT, action) }.inspect_err(|_| {
            HANDLING.fetch_sub(1, SeqCst);
        })?;
        Ok(Some(Handling { ctrl_c: self.clone(), action }))
    }

    /// From now on, Ctrl-C cancels this task.
    pub(crate) fn set_main(&self, main: Option<TaskHandle>) {
        *self.main.lock().unwrap_or_else(PoisonError::into_inner) = main;
    }

    /// Cancels main if Ctrl-C was pressed. Called after each turn of the reactor.
    #[inline]
    pub(crate) fn deliver(&self) {
        // Relaxed: the handler interrupts the reactor after it has set the flag, so the next turn sees it at the latest.
        if self.pressed.load(Relaxed) {
            self.cancel_main();
        }
    }

    #[cold]
    fn cancel_main(&self) {
        let main = self.main.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(main) = main
            && self.pressed.swap(false, Acquire)
        {
            self.cancelled.store(true, Relaxed);
            main.cancel();
        }
    }

    /// Whether main was cancelled for Ctrl-C.
    pub(crate) fn has_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.ctrl_c.set_main(None);
        signal_hook_registry::unregister(self.action);
        HANDLING.fetch_sub(1, SeqCst);
    }
}

/// Whether Ctrl-C had its default action when we first looked; and sees to it that it keeps that while no `run` handles
/// it (a handler, once installed, stays).
fn keep_default() -> io::Result<bool> {
    static WAS_DEFAULT: OnceLock<bool> = OnceLock::new();
    if let Some(was_default) = WAS_DEFAULT.get() {
        return Ok(*was_default);
    }
    // SAFETY: all-zero is a valid `sigaction` to be overwritten.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only reads the current action into a place of ours.
    if unsafe { libc::sigaction(SIGINT, std::ptr::null(), &mut action) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let is_default = action.sa_sigaction == SIG_DFL;
    if is_default && WAS_DEFAULT.set(true).is_ok() {
        let or_default = || {
            if HANDLING.load(SeqCst) == 0 && !is_awaited() {
                // SAFETY: both are async-signal-safe. The signal is blocked in here, and ends the process on return.
                unsafe {
                    libc::signal(SIGINT, SIG_DFL);
                    libc::raise(SIGINT);
                }
            }
        };
        // SAFETY: as argued in the action.
        unsafe { signal_hook_registry::register(SIGINT, or_default) }?;
    }
    Ok(is_default || WAS_DEFAULT.get() == Some(&true))
}

/// Whether a `net::Signal` listens for Ctrl-C. What other libraries have registered can't be known.
fn is_awaited() -> bool {
    #[cfg(feature = "net")]
    return kumihimo_net::is_interrupt_awaited();
    #[cfg(not(feature = "net"))]
    return false;
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    // SAFETY: both only return numbers.
    unsafe { libc::getpid() == libc::gettid() }
}

#[cfg(not(target_os = "linux"))]
fn is_main_thread() -> bool {
    std::thread::current().name() == Some("main")
}
