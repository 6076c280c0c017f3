//! `cargo xtask COMMAND`: see `cargo xtask help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use xtask::commands;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match commands::dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
