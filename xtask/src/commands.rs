//! The commands: one file each.

mod faults;
mod features;
mod lint;
mod loom;
mod oneshot;
mod package;
mod sanitize;
mod stress;
mod test;

use crate::failure::{Failure, Outcome};
use crate::unsafe_list;

pub use features::powerset;

const HELP: &str = "\
usage: cargo xtask COMMAND

  test [FILTER]          all tests: units, integration, examples, doctests; needs nothing but Rust
  lint                   format, clippy and documentation, warnings as errors
  features               every combination of every crate's features compiles; the bare facade stays small
  package                every published crate packs with what belongs in it, and builds from the package
  loom [FILTER]          the model checks, exhaustively
  loom --mutants [K/N]   mistakes, planted into a copy, are caught by the models; with K/N each N-th of them
  faults [FILTER]        mistakes, planted into a copy of the code, are caught by the tests
  sanitize address       the tests under AddressSanitizer and LeakSanitizer   (x86-64 Linux)
  sanitize thread        the tests under ThreadSanitizer                      (x86-64 Linux)
  oneshot                the reactor's oneshot path, as on platforms without edge-triggered polling
  unsafe                 writes docs/unsafe.md: each unsafe place, what it says for itself, what covers it
  stress [SECONDS]       random work on a release build for so long, 60 by default

`bash .ci/run` runs them all except unsafe and stress, and of the mutants a part. CONTRIBUTING.md says more.";

/// Runs the command that these words name.
///
/// # Errors
///
/// When there is no such command, or it failed; the text says what to do.
pub fn dispatch(words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["test"] => test::run(""),
        ["test", filter] => test::run(filter),
        ["lint"] => lint::run(),
        ["features"] => features::run(),
        ["package"] => package::run(),
        ["loom"] => loom::run(""),
        ["loom", "--mutants"] => loom::mutants(None),
        ["loom", "--mutants", part] => loom::mutants(Some(part)),
        ["loom", filter] => loom::run(filter),
        ["faults"] => faults::run(""),
        ["faults", filter] => faults::run(filter),
        ["sanitize", "address"] => sanitize::run(sanitize::Sanitizer::Address),
        ["sanitize", "thread"] => sanitize::run(sanitize::Sanitizer::Thread),
        ["oneshot"] => oneshot::run(),
        ["unsafe"] => unsafe_list::write_page(),
        ["stress"] => stress::run("60"),
        ["stress", seconds] => stress::run(seconds),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [] => Err(Failure::new(format!("no command given\n\n{HELP}"))),
        _ => Err(Failure::new(format!("`cargo xtask {}` is no command\n\n{HELP}", words.join(" ")))),
    }
}
