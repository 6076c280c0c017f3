//! The same work on kumihimo, tokio, smol and bare epoll, side by side in one process; and on process pools.
//!
//! - [`rows`]: what is measured, one kind of work per file, each body written once for all runtimes;
//! - [`runtimes`]: the interface the bodies are written against, and each runtime behind it;
//! - [`pools`]: the process pools, and [`family`]: what all their processes cost;
//! - [`epoll`]: the echo rows without any runtime, as the limit;
//! - [`contest`]: runs the contenders in turn and takes medians;
//! - [`report`] and [`chart`]: the tables on the terminal, `docs/benchmarks.md` and its picture.
//!
//! `cargo run --release -p kumihimo-bench -- --help` lists the options.

#![forbid(unsafe_code)]

mod args;
mod chart;
mod child;
mod contest;
mod countdown;
mod epoll;
mod family;
mod machine;
mod measure;
mod pools;
mod report;
mod rows;
mod runtimes;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    // In a worker of its pool, which is this program started again, this does not return; else it only takes a note.
    procspawn::init();
    let outcome = match Args::parse(std::env::args().skip(1)) {
        Ok(Command::Contest(args)) => contest::run(&args),
        Ok(Command::Child(request)) => child::answer(&request),
        Ok(Command::HoldConnections { address, count }) => child::hold_connections(address, count),
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            Ok(())
        }
        Err(message) => Err(message),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("kumihimo-bench: {message}");
            ExitCode::FAILURE
        }
    }
}
