//! `run`: a loop for one main task, from its start to its end.

use kumihimo_executor::TaskError;

use crate::builder::Builder;
use crate::ctrl_c;
use crate::runner::Runner;

/// Runs a future as the main task of a new loop on all processors, and gives what it returns.
///
/// The main future stays on this thread, which is one of the workers, and needs to be neither `Send` nor `'static`. When it
/// has ended, every other task is cancelled and waited for, clean-up included, as are blocking jobs that still run.
///
/// Ctrl-C, on the process's main thread, cancels the main task; a second one ends the process at once. A main task that
/// ends by that cancellation makes `run` exit the process with status 130, after the clean-up.
///
/// ```
/// use kumihimo as asyncio;
///
/// async fn answer() -> u32 {
///     asyncio::create_task(async { 6 * 7 }).await
/// }
///
/// assert_eq!(asyncio::run(answer()), 42);
/// ```
///
/// # Panics
///
/// - If a loop runs on this thread already: await the future there instead.
/// - If main panics, with its panic.
/// - If main ends cancelled, other than by Ctrl-C. [`Runner::run`] gives that as an error.
/// - If the system has no threads or descriptors left.
#[doc(alias = "asyncio.run")]
#[track_caller]
pub fn run<F: Future>(main: F) -> F::Output {
    run_with(Runner::builder(), main)
}

/// [`run`], with settings.
#[doc(hidden)]
#[track_caller]
pub fn run_with<F: Future>(builder: Builder, main: F) -> F::Output {
    assert!(
        !kumihimo_executor::is_running(),
        "asyncio::run() cannot be called from a running event loop: this thread runs one already. Await the future \
         instead, or call run() in a thread of its own, with to_thread(|| asyncio::run(..)).await"
    );
    let runner =
        builder.build().unwrap_or_else(|error| panic!("the event loop could not be started: {error}"));
    let session = runner.runtime().session();
    let result = runner.run(main);
    let interrupted = runner.was_interrupted();
    drop(session);
    drop(runner);
    match result {
        Ok(output) => output,
        Err(TaskError::Panicked(panic)) => panic.resume(),
        Err(TaskError::Cancelled(_)) if interrupted => std::process::exit(ctrl_c::EXIT_STATUS),
        Err(TaskError::Cancelled(error)) => {
            panic!(
                "the main task was {error}; use Runner::run() where that is expected: it gives Err(Cancelled)"
            )
        }
    }
}
