//! The pool as its users see it.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::process::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::ProcessPoolBuilder;
use super::call::{Call, What};
use super::codec;
use super::error::ProcessError;
use super::function::{ForeignFunction, Function};
use super::job::ProcessJob;
use super::map::ProcessMap;
use super::roster::{Config, Roster};
use super::shutdown::ProcessShutdown;
use super::start::Starter;
use super::wire::encode_call_with;
use crate::clock;

/// Processes that run functions: for computations that should not share a process with the rest.
///
/// Each is a copy of this program, started when a call needs it, which calls functions instead of `main`. A plain function, a
/// closure that captures nothing and an instance of a generic function can be sent; arguments and results travel through
/// serde. Statics are each process's own. Calls begin in the order in which they were submitted, and run in parallel up to
/// `max_workers`.
///
/// Clones share one pool. When the last is dropped the pool shuts down without anybody waiting: as long as a loop runs,
/// calls that were submitted, and whose handles are there, are done all the same. No process outlives this one, however it
/// ends.
///
/// ```
/// use kumihimo_blocking_pool::process::ProcessPoolExecutor;
///
/// fn divisors(n: u64) -> u64 {
///     (1..=n).filter(|d| n.is_multiple_of(*d)).count() as u64
/// }
///
/// // In a task of a loop:
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = ProcessPoolExecutor::new(2)?;
/// assert_eq!(pool.submit(divisors, 5040).await?, 60);
/// pool.shutdown(true, false).await;
/// # Ok(())
/// # }
/// ```
///
/// # What a process gets
///
/// It has the same arguments, environment, working directory, standard output and standard error. Its standard input is empty,
/// Ctrl-C is left to this process, and `main` is never called: what `main` sets up, the
/// [initializer](ProcessPoolBuilder::initializer) has to. Calls run on the process's main thread.
///
/// # Panics and deaths
///
/// A panic fails its own call ([`ProcessError::Panicked`]). A process that dies breaks the pool, or fails the call that it had,
/// as [`OnCrash`](super::OnCrash) says.
#[doc(alias = "concurrent.futures.ProcessPoolExecutor")]
#[derive(Clone)]
pub struct ProcessPoolExecutor {
    /// Shared by the clones, and by nobody else: calls and processes don't keep the pool open.
    owner: Arc<Owner>,
}

/// Closes the pool when the last handle goes.
struct Owner(Arc<Roster>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close(false);
    }
}

impl ProcessPoolExecutor {
    pub(super) fn from_parts(config: Config, starter: Starter) -> ProcessPoolExecutor {
        ProcessPoolExecutor { owner: Arc::new(Owner(Arc::new(Roster::new(config, starter)))) }
    }

    /// A pool with at most so many processes.
    ///
    /// # Errors
    ///
    /// As [`ProcessPoolBuilder::build`].
    ///
    /// # Panics
    ///
    /// If `max_workers` is zero.
    #[track_caller]
    pub fn new(max_workers: usize) -> io::Result<ProcessPoolExecutor> {
        ProcessPoolExecutor::builder().max_workers(max_workers).build()
    }

    /// A pool with other settings.
    pub fn builder() -> ProcessPoolBuilder {
        ProcessPoolBuilder::new()
    }

    /// Has a process call `f` with `argument`; several arguments go as a tuple.
    ///
    /// The argument is encoded now, on this thread. Large ones are best given as `Vec<u8>` or `String`, which are copied as a whole.
    /// While the call is open, a paused clock of the loop that runs on the calling thread does not advance by itself.
    ///
    /// It needs a loop, on this thread or on another one where the pool is in use. What is wrong with a call is
    /// what its handle gives.
    ///
    /// # Cancellation
    ///
    /// Dropping the handle withdraws the call if it has not begun; see [`ProcessJob`].
    #[doc(alias = "concurrent.futures.Executor.submit")]
    #[track_caller]
    pub fn submit<A, R>(&self, f: fn(A) -> R, argument: A) -> ProcessJob<R>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.send(What::here(f), Function::one(f), &argument)
    }

    /// As [`submit`](Self::submit), for a function without arguments.
    #[track_caller]
    pub fn submit0<R>(&self, f: fn() -> R) -> ProcessJob<R>
    where
        R: Serialize + DeserializeOwned + 'static,
    {
        self.send(What::here(f), Function::none(f), &())
    }

    /// Has the pool call `f` with each item, and gives the results in the order of the items.
    ///
    /// Nothing is submitted before the map is first polled; see [`ProcessMap`] for chunks and for limits.
    ///
    /// ```
    /// use kumihimo_blocking_pool::process::ProcessPoolExecutor;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// let squares = pool.map(|n: u64| n * n, 0..1000).chunksize(100).await?;
    /// assert_eq!(squares[999], 998_001);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "concurrent.futures.Executor.map")]
    #[track_caller]
    pub fn map<I, A, R>(&self, f: fn(A) -> R, items: I) -> ProcessMap<I::IntoIter, A, R>
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        ProcessMap::new(self.clone(), What::here(f), f, items.into_iter())
    }

    /// One call for several items.
    pub(super) fn submit_chunk<A, R>(&self, what: What, f: fn(A) -> R, items: &Vec<A>) -> ProcessJob<Vec<R>>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.send(what, Function::chunk(f), items)
    }

    fn send<A, R>(
        &self,
        what: What,
        function: Result<Function, ForeignFunction>,
        argument: &A,
    ) -> ProcessJob<R>
    where
        A: Serialize + 'static,
    {
        let roster = &self.owner.0;
        let number = roster.next_number();
        let call = self.frame(number, what, function, argument).and_then(|frame| {
            let call = Arc::new(Call::new(number, what, frame, clock::hold()));
            roster.submit(&call).map(|()| call)
        });
        let call = call.unwrap_or_else(|error| Arc::new(Call::ended(what, error)));
        ProcessJob::new(call, Arc::clone(roster))
    }

    fn frame<A: Serialize + 'static>(
        &self,
        number: u32,
        what: What,
        function: Result<Function, ForeignFunction>,
        argument: &A,
    ) -> Result<Vec<u8>, ProcessError> {
        let function = function.map_err(|error| ProcessError::Foreign(error.to_string()))?;
        let limit = self.owner.0.config.frame_limit as usize;
        let mut frame = Vec::new();
        encode_call_with(&mut frame, number.into(), function, |frame| codec::encode(argument, frame, limit))
            .map_err(|error| {
                ProcessError::Unsendable(format!("the argument of {what} was not sent: {error}"))
            })?;
        Ok(frame)
    }

    /// Shuts the pool down: from now on nothing can be submitted, and processes end as they run out of calls.
    ///
    /// Calls that have not begun are still made, or withdrawn if `cancel_futures` ([`ProcessError::Cancelled`]). The shutdown is
    /// under way when this returns; the future waits until the last process has ended, if `wait`, else it is ready at once. May be
    /// called again.
    #[doc(alias = "concurrent.futures.Executor.shutdown")]
    pub fn shutdown(&self, wait: bool, cancel_futures: bool) -> ProcessShutdown {
        let roster = &self.owner.0;
        roster.close(cancel_futures);
        ProcessShutdown::new(wait.then(|| Arc::clone(roster)))
    }

    /// Kills all processes, and shuts the pool down.
    ///
    /// Calls that run get [`ProcessError::Broken`], those that have not begun [`ProcessError::Cancelled`].
    #[doc(alias = "concurrent.futures.ProcessPoolExecutor.kill_workers")]
    pub fn kill_workers(&self) {
        self.owner.0.force(Signal::KILL);
    }

    /// Sends all processes SIGTERM, which ends them unless their calls handle it, and shuts the pool down.
    ///
    /// Calls that run get [`ProcessError::Broken`] when their process ends, or their result if that comes first; those that have not
    /// begun get [`ProcessError::Cancelled`].
    #[doc(alias = "concurrent.futures.ProcessPoolExecutor.terminate_workers")]
    pub fn terminate_workers(&self) {
        self.owner.0.force(Signal::TERM);
    }

    /// Whether the pool takes no calls any more: it was told to shut down, or is broken.
    pub fn is_shut_down(&self) -> bool {
        self.owner.0.is_shut_down()
    }

    /// How many processes the pool may have at most.
    pub fn max_workers(&self) -> usize {
        self.owner.0.config.max_workers
    }

    /// The ids of its processes at this moment.
    pub fn pids(&self) -> Vec<u32> {
        self.owner.0.pids()
    }

    /// How many calls have not begun.
    pub fn queue_depth(&self) -> usize {
        self.owner.0.queue_depth()
    }
}

impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolExecutor")
            .field("pids", &self.pids())
            .field("max_workers", &self.max_workers())
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}
