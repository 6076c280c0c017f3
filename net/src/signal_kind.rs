//! The kinds of signals, by name.

use std::fmt;

use rustix::process::Signal as Number;

/// Which signal: by name, or any number of the system's.
///
/// ```
/// use kumihimo_net::SignalKind;
///
/// assert_eq!(SignalKind::INTERRUPT.as_raw(), 2);
/// assert_eq!(SignalKind::from(15), SignalKind::TERMINATE);
/// assert_eq!(SignalKind::TERMINATE.to_string(), "SIGTERM");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

/// The constants, and their names for `Display`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:ident, $display:literal;)*) => {
        impl SignalKind {
            $($(#[$doc])* pub const $name: SignalKind = SignalKind(Number::$number.as_raw());)*

            fn name(self) -> Option<&'static str> {
                $(if self == SignalKind::$name { return Some($display); })*
                None
            }
        }
    };
}

kinds! {
    /// `SIGALRM`: a timer of the system has run out.
    ALARM = ALARM, "SIGALRM";
    /// `SIGCHLD`: a child process has ended or stopped.
    CHILD = CHILD, "SIGCHLD";
    /// `SIGHUP`: the terminal is gone; daemons read their configuration again.
    HANGUP = HUP, "SIGHUP";
    /// `SIGINT`: Ctrl-C.
    INTERRUPT = INT, "SIGINT";
    /// `SIGIO`: a descriptor is ready.
    IO = IO, "SIGIO";
    /// `SIGPIPE`: something was written to a pipe that nobody reads.
    PIPE = PIPE, "SIGPIPE";
    /// `SIGQUIT`: Ctrl-\.
    QUIT = QUIT, "SIGQUIT";
    /// `SIGTERM`: the polite request to end.
    TERMINATE = TERM, "SIGTERM";
    /// `SIGUSR1`: what the program makes of it.
    USER_DEFINED1 = USR1, "SIGUSR1";
    /// `SIGUSR2`: what the program makes of it.
    USER_DEFINED2 = USR2, "SIGUSR2";
    /// `SIGWINCH`: the size of the terminal has changed.
    WINDOW_CHANGE = WINCH, "SIGWINCH";
}

impl SignalKind {
    /// The signal with this number.
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// The signal's number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> SignalKind {
        SignalKind(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> i32 {
        kind.0
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalKind({self})")
    }
}
