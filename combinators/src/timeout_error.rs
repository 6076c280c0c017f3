//! The error of what took too long.

use std::{fmt, io};

/// Something was not done within its time-out.
///
/// It is an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut) where one is wanted: `?` converts it.
///
/// ```
/// use std::io;
/// use kumihimo_combinators::TimeoutError;
///
/// let error = io::Error::from(TimeoutError);
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// assert_eq!(error.to_string(), TimeoutError.to_string());
/// ```
#[doc(alias = "asyncio.TimeoutError")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeoutError;

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the time-out expired before what was awaited was done: give it more time, or find out what holds it up",
        )
    }
}

impl std::error::Error for TimeoutError {}

impl From<TimeoutError> for io::Error {
    fn from(error: TimeoutError) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, error)
    }
}
