//! Serves a folder over HTTP/1.1 and HTTP/2: `cargo run --release --example serve -- docs`.
//!
//! hyper speaks HTTP, kumihimo runs it: a task per connection, files read in the thread pool, Ctrl-C cancels the main
//! task, which catches that and lets the running requests finish. Read on in `connection.rs` for what happens to a
//! client, and in `site.rs` for what happens to a request.

mod args;
mod connection;
mod descriptors;
mod file_body;
mod first;
mod limiter;
mod listing;
mod log;
mod measured;
mod range;
mod resolve;
mod self_test;
mod site;
mod stats;
mod stop;
mod terminal;
mod transport;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::net::{Signal, SignalKind, TcpListener};

use args::{Options, Wish};
use connection::Server;
use first::first;
use limiter::Limiter;
use log::AccessLog;
use resolve::Root;
use self_test::Report;
use site::Site;
use stats::Stats;
use terminal::{complain, say};

fn main() -> ExitCode {
    let options = match args::parse(std::env::args_os().skip(1)) {
        Ok(Wish::Serve(options)) => options,
        Ok(Wish::Help) => {
            say(args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(error);
            return ExitCode::from(2);
        }
    };
    let root = match Root::open(&options.folder) {
        Ok(root) => root,
        Err(error) => {
            complain(format_args!("can't serve {}: {error}", options.folder.display()));
            return ExitCode::from(2);
        }
    };
    match start(options, root) {
        Ok(code) => code,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// Runs the server from start to summary.
fn start(mut options: Options, root: Root) -> io::Result<ExitCode> {
    if options.self_test {
        options.address.set_port(0);
        options.quiet = true;
    }
    options.max_connections = descriptors::raise_for(options.max_connections);
    let (log, writer) = match options.quiet {
        true => (AccessLog::quiet(), None),
        false => AccessLog::to_stdout().map(|(log, writer)| (log, Some(writer)))?,
    };
    let site =
        Arc::new(Site { root, log, stats: Stats::default(), request_timeout: options.request_timeout });
    let mut builder = asyncio::Runner::builder();
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let began = asyncio::Instant::now();
    let ended = builder.build()?.run(run(Arc::new(Server::new(Arc::clone(&site), options))));
    let report = ended.map_err(|error| io::Error::other(error.to_string()))??;

    if let Some(writer) = writer {
        writer.finish();
    }
    if site.log.lost() > 0 {
        complain(format_args!(
            "{} lines of the log were lost, since standard output was too slow",
            site.log.lost()
        ));
    }
    say(site.stats.summary(began.elapsed()));
    Ok(report.map_or(ExitCode::SUCCESS, verdict))
}

/// Serves until it is cancelled; the report is there for a self-test.
async fn run(server: Arc<Server>) -> io::Result<Option<Report>> {
    let options = &server.options;
    let listener = TcpListener::bind(options.address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("can't listen on {}: {error}", options.address))
    })?;
    let address = listener.local_addr()?;
    cancel_on_sigterm()?;
    say(format_args!("serving {} at http://{address}/", options.folder.display()));
    let test = options.self_test.then(|| {
        let main = asyncio::current_task().expect("this is a task");
        let folder = options.folder.clone();
        asyncio::create_task(async move {
            let report = self_test::test(address, folder).await;
            main.cancel_with("the self-test is over");
            report
        })
    });

    let limiter = Limiter::new(options.max_connections);
    // Ctrl-C arrives here, as a cancellation of the main task.
    let Err(cancelled) = asyncio::catch_cancelled(accept_all(&server, &listener, &limiter)).await;
    drop(listener);
    say(format_args!("stopping: {}", cancelled.message().unwrap_or("Ctrl-C")));
    server.stop.set();
    let too_long = async { asyncio::sleep(options.shutdown_timeout).await };
    first(limiter.all_back(), too_long).await;
    // What still runs is cancelled when this returns.
    if limiter.taken() > 0 {
        complain(format_args!("{} connections didn't finish in time and are closed", limiter.taken()));
    }
    match test {
        Some(test) => Ok(Some(test.await)),
        None => Ok(None),
    }
}

/// `kill` means the same as Ctrl-C.
fn cancel_on_sigterm() -> io::Result<()> {
    let main = asyncio::current_task().expect("this is a task");
    let mut terminate = Signal::new(SignalKind::TERMINATE)?;
    drop(asyncio::create_task(async move {
        if terminate.recv().await.is_ok() {
            main.cancel_with("SIGTERM");
        }
    }));
    Ok(())
}

/// Accepts connections for ever, no more at once than there are slots.
async fn accept_all(
    server: &Arc<Server>,
    listener: &TcpListener,
    limiter: &Limiter,
) -> std::convert::Infallible {
    loop {
        // Further clients wait in the system's queue.
        let slot = limiter.slot().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let server = Arc::clone(server);
                // Nobody waits for this task but its slot.
                drop(asyncio::create_task(async move {
                    let _slot = slot;
                    server.serve(stream, peer).await;
                }));
            }
            // The client is gone already, or there are no descriptors left for the moment.
            Err(error) => {
                complain(format_args!("can't accept a connection: {error}"));
                asyncio::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Prints a self-test's report.
fn verdict(report: Report) -> ExitCode {
    for failure in &report.failures {
        say(format_args!("FAILED {failure}"));
    }
    let Report { files, bytes, checks, failures } = report;
    say(format_args!(
        "self-test: {files} files, {bytes} bytes, {checks} checks, {} failures",
        failures.len()
    ));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
