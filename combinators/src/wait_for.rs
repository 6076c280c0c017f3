//! `wait_for`: one future, with a time-out.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kumihimo_executor::{Shielded, Task, TaskError, as_task};
use pin_project_lite::pin_project;

use crate::TimeoutError;
use crate::timeout::{Timed, When};

/// Awaits a future for at most `limit`; `None` is no limit.
///
/// When the time is over, the future is cancelled, and waited for until it has ended, so it may take longer; the future may
/// await clean-up, and if it swallows the cancellation its value is returned. To leave a task running, `shield` it.
///
/// | waits for | when the time is over | who is cancelled | returns |
/// |---|---|---|---|
/// | the future, clean-up included | cancels the future | the future; the task that it is or awaits | its value, or `Err(TimeoutError)` |
///
/// The future is awaited here, in the calling task, and may borrow. With a limit of zero, a task that is done gives its result,
/// one that isn't is cancelled and waited for, and any other future is dropped without having run. The time runs from the first
/// poll.
///
/// # Cancellation
///
/// Cancels the future, and is raised when that has ended. If somebody else cancels the awaited task, the cancellation is raised
/// here, as always: it is no `TimeoutError`.
///
/// # Panics
///
/// When polled outside of a task of a running loop, if there is a limit.
///
/// ```
/// use std::time::Duration;
/// use kumihimo_combinators::{TimeoutError, wait_for};
/// use kumihimo_reactor::sleep;
///
/// # use std::{any::Any, sync::Arc};
/// # use kumihimo_executor::{Builder, Driver, Turn};
/// # use kumihimo_reactor::{self as reactor, Reactor};
/// # struct Clock(Reactor);
/// # impl Driver for Clock {
/// #     fn enter(&self, worker: usize) -> Box<dyn Any> { Box::new(self.0.enter(worker)) }
/// #     fn turn(&self, turn: Turn) {
/// #         self.0.turn(if turn == Turn::Poll { reactor::Turn::Poll } else { reactor::Turn::Wait });
/// #     }
/// #     fn interrupt(&self) { self.0.interrupt() }
/// #     fn fire_due(&self, worker: usize) { self.0.fire_due(worker); }
/// #     fn before_park(&self, worker: usize) { self.0.before_park(worker) }
/// # }
/// # let runtime = Builder::new().current_thread().build(Arc::new(Clock(Reactor::new(1)?)))?;
/// # runtime.block_on(async {
/// let eternity = sleep(Duration::from_secs(3600));
/// assert_eq!(wait_for(eternity, Duration::from_millis(5)).await, Err(TimeoutError));
/// assert_eq!(wait_for(async { 1 }, Duration::from_secs(5)).await, Ok(1));
/// assert_eq!(wait_for(async { 2 }, None).await, Ok(2));
/// # }, |_| {}).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "asyncio.wait_for")]
pub fn wait_for<F: IntoFuture>(future: F, limit: impl Into<Option<Duration>>) -> WaitFor<F::IntoFuture> {
    WaitFor { stage: Stage::Begin { future: Some(future.into_future()), limit: limit.into() } }
}

pin_project! {
    /// See [`wait_for`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WaitFor<F: Future> {
        #[pin]
        stage: Stage<F>,
    }
}

pin_project! {
    #[project = StageProjected]
    enum Stage<F: Future> {
        // Not polled.
        Begin { future: Option<F>, limit: Option<Duration> },
        // Without a limit.
        Plain { #[pin] future: F },
        Timed { #[pin] timed: Timed<F> },
        // Had no time, and was done: the task itself.
        Done { #[pin] task: Task<F::Output> },
        // Had no time: was cancelled.
        Cancelled { #[pin] task: Shielded<F::Output> },
        // Had no time, and is no task.
        Refused,
    }
}

impl<F: Future> Future for WaitFor<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        if let StageProjected::Begin { future, limit } = stage.as_mut().project() {
            let future = future.take().expect("a beginning that panicked");
            let limit = *limit;
            match limit {
                None => stage.set(Stage::Plain { future }),
                Some(Duration::ZERO) => stage.set(Stage::without_time(future)),
                Some(limit) => {
                    stage.set(Stage::Timed { timed: Timed::new() });
                    if let StageProjected::Timed { timed } = stage.as_mut().project() {
                        timed.enter(When::After(limit), "wait_for", |_| future);
                    }
                }
            }
        }
        match stage.project() {
            StageProjected::Begin { .. } => unreachable!("it has begun"),
            StageProjected::Plain { future } => future.poll(cx).map(Ok),
            StageProjected::Timed { timed } => timed.poll(cx),
            StageProjected::Done { task } => task.poll(cx).map(Ok),
            // A cancellation of the awaiter is raised at once; the task's own is what the time-out came to.
            StageProjected::Cancelled { task } => {
                Poll::Ready(match ready!(task.get_mut().poll_outcome(cx)) {
                    Ok(value) => Ok(value),
                    Err(TaskError::Cancelled(_)) => Err(TimeoutError),
                    Err(TaskError::Panicked(panic)) => panic.resume(),
                })
            }
            StageProjected::Refused => Poll::Ready(Err(TimeoutError)),
        }
    }
}

impl<F: Future> Stage<F> {
    fn without_time(future: F) -> Stage<F> {
        match as_task(future) {
            Ok(task) if task.done() => Stage::Done { task },
            Ok(task) => {
                task.cancel();
                Stage::Cancelled { task: task.shielded() }
            }
            Err(_never_polled) => Stage::Refused,
        }
    }
}

impl<F: Future> fmt::Debug for WaitFor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").finish_non_exhaustive()
    }
}
