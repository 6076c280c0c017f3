//! What the server says to whoever started it.

use std::fmt::Display;
use std::io::{self, Write};

/// A line on standard output. That nobody reads it any more (`serve docs | head -1`) is no reason to stop serving,
/// while `println!` would panic.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "serve: {line}");
}
