//! `BrokenProcessPool`: a process of the pool has died.

use std::fmt;
use std::panic::Location;

use super::call::What;
use super::child_process::Exit;

/// A process of the pool ended before it had answered a call.
///
/// Each call that it concerns gets an error of its own, which says what is known of the process that died.
///
/// ```
/// use kumihimo_blocking_pool::process::BrokenProcessPool;
///
/// fn was_killed(error: &BrokenProcessPool) -> bool {
///     error.signal() == Some(9)
/// }
/// ```
#[doc(alias = "concurrent.futures.process.BrokenProcessPool")]
#[derive(Clone)]
pub struct BrokenProcessPool {
    /// The process that died.
    death: Death,
    /// Where this call was at that time.
    victim: Victim,
}

/// What is known of a process that died.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub(super) pid: u32,
    pub(super) exit: Exit,
    /// What it was doing.
    pub(super) during: During,
}

/// What a process was doing when it died.
#[derive(Clone, Debug)]
pub(super) enum During {
    /// It was being started.
    Start,
    /// Its initializer panicked, or it was not let in; the text says why.
    Greeting(String),
    /// It waited for a call.
    Rest,
    /// It ran this.
    Call(What),
    /// It was answering, or should have been, and what it said was not understood.
    Nonsense(String),
}

/// Where a call was when a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// In the process that died.
    Own,
    /// In another process, which was ended with the pool.
    InFlight,
    /// In the queue.
    Waiting,
    /// It was submitted afterwards.
    Later,
    /// In a process that the pool's owner ended.
    Ended,
}

impl BrokenProcessPool {
    pub(super) fn new(death: Death, victim: Victim) -> BrokenProcessPool {
        BrokenProcessPool { death, victim }
    }

    /// The id of the process that died. The system may have given it to another one since.
    pub fn pid(&self) -> u32 {
        self.death.pid
    }

    /// The status with which it exited; `None` if a signal ended it, or if that is not known.
    pub fn exit_code(&self) -> Option<i32> {
        match self.death.exit {
            Exit::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The signal that ended it; `None` if it exited, or if that is not known.
    pub fn signal(&self) -> Option<i32> {
        match self.death.exit {
            Exit::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// The function that it ran, by its type's name; `None` if it ran none.
    pub fn function(&self) -> Option<&'static str> {
        match self.death.during {
            During::Call(what) => Some(what.function),
            _ => None,
        }
    }

    /// Where the call that it ran was submitted; `None` if it ran none.
    pub fn submitted_at(&self) -> Option<&'static Location<'static>> {
        match self.death.during {
            During::Call(what) => Some(what.place),
            _ => None,
        }
    }

    /// Whether it was this call that the process ran.
    pub fn is_own(&self) -> bool {
        matches!(self.victim, Victim::Own | Victim::Ended)
    }
}

impl fmt::Display for BrokenProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Death { pid, exit, during } = &self.death;
        if self.victim == Victim::Ended {
            write!(f, "the pool's owner ended process {pid} ")?;
            return match during {
                During::Call(what) => write!(f, "while it ran {what} for this call"),
                _ => f.write_str("before it had answered this call"),
            };
        }
        write!(f, "process {pid} of the pool {exit} ")?;
        match during {
            During::Start => f.write_str("while it was started")?,
            During::Greeting(text) => write!(f, "while it was started: {text}")?,
            During::Rest => f.write_str("while it had nothing to do")?,
            During::Call(what) => write!(f, "while it ran {what}")?,
            During::Nonsense(text) => write!(f, "because it was not understood: {text}")?,
        }
        f.write_str(match self.victim {
            Victim::Own | Victim::Ended => " for this call",
            Victim::InFlight => "; this call ran in another process, which was ended with it",
            Victim::Waiting => "; this call had not begun",
            Victim::Later => {
                "; this call was submitted later: make another pool, or build it with `OnCrash::Restart`"
            }
        })
    }
}

// As text: what a `main` that returns it shows.
impl fmt::Debug for BrokenProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BrokenProcessPool").field(&format_args!("{self}")).finish()
    }
}

impl std::error::Error for BrokenProcessPool {}
