//! A panic that happened in a worker process, as text.

use std::fmt;

/// A panic of a call in a worker process.
///
/// The value that was thrown stays in the worker; what travels is text: the message, the place, and the stack. It is
/// displayed as the message and the place; with `{:#}`, the stack follows on lines of its own.
///
/// The stack is captured unless the environment variable `RUST_BACKTRACE` is `0`.
///
/// ```
/// use kumihimo_blocking_pool::process::ProcessError;
///
/// fn explain(error: &ProcessError) -> String {
///     match error {
///         ProcessError::Panicked(panic) => {
///             format!("{} ({})", panic.message(), panic.location().unwrap_or("nobody knows where"))
///         }
///         other => other.to_string(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePanic {
    /// What `panic!` was given, or a word about it if that was no text.
    message: String,
    /// `file:line:column`.
    location: Option<String>,
    /// Of the worker's thread, one frame or more per line.
    backtrace: Option<String>,
}

impl RemotePanic {
    /// A panic with this message.
    pub(crate) fn new(message: String, location: Option<String>, backtrace: Option<String>) -> RemotePanic {
        RemotePanic { message, location, backtrace }
    }

    /// What the call's `panic!` said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it happened, as `file:line:column`, if known.
    ///
    /// It is not known after `std::panic::resume_unwind`, nor if the called function has installed a panic hook of
    /// its own.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The worker's stack at the panic, if it was captured.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }
}

impl fmt::Display for RemotePanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(location) = &self.location {
            write!(f, ", at {location}")?;
        }
        if f.alternate()
            && let Some(backtrace) = &self.backtrace
        {
            write!(f, "\nstack of the worker:\n{}", backtrace.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_what_is_known() {
        let full = RemotePanic::new("no".into(), Some("a.rs:1:2".into()), Some("0: f\n".into()));
        assert_eq!(full.to_string(), "no, at a.rs:1:2");
        assert_eq!(format!("{full:#}"), "no, at a.rs:1:2\nstack of the worker:\n0: f");
        assert_eq!(RemotePanic::new("no".into(), None, None).to_string(), "no");
    }
}
