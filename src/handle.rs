//! Callbacks of a loop: `call_soon`, `call_later`, `call_at`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use kumihimo_executor::{Context, WeakScheduler, run_in_context, try_copy_context};
use kumihimo_reactor::{Instant, Timer};

use crate::event_loop::EventLoop;

/// A callback that was scheduled: asyncio's `Handle` and `TimerHandle`. Dropping it changes nothing.
#[doc(alias = "asyncio.Handle")]
#[doc(alias = "asyncio.TimerHandle")]
#[derive(Clone)]
pub struct Handle(Arc<Call>);

/// What the handle and whoever will make the call share.
struct Call {
    state: Mutex<State>,
    when: Option<Instant>,
    /// The variables that were current when it was scheduled.
    context: Option<Context>,
    /// Its loop; weak, as a timer that is left when the loop closes must not keep it.
    scheduler: WeakScheduler,
}

/// How far the call has come.
#[derive(Default)]
struct State {
    /// Taken when it is called or cancelled.
    callback: Option<Box<dyn FnOnce() + Send>>,
    /// While its time has not come.
    timer: Option<Timer>,
    cancelled: bool,
}

impl Call {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        let (callback, timer) = (state.callback.take(), state.timer.take());
        drop(state);
        drop(timer);
        if let Some(callback) = callback {
            run_in_context(self.context.as_ref(), callback);
        }
    }

    /// Lines up, in its loop's way.
    fn line_up(self: Arc<Self>) {
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.call_soon(Box::new(move || self.run()));
        }
    }

    /// Waits for its time, on a worker of its loop.
    fn arm(self: Arc<Self>) {
        let Some(when) = self.when else { return self.line_up() };
        let timer = Timer::new(when, Waker::from(self.clone()));
        let mut state = self.lock();
        if state.callback.is_some() {
            state.timer = Some(timer);
            return;
        }
        drop(state);
        drop(timer);
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.line_up();
    }
}

impl Handle {
    /// Keeps the callback from being called, if it was not yet. The callback is dropped.
    #[doc(alias = "asyncio.Handle.cancel")]
    pub fn cancel(&self) {
        let mut state = self.0.lock();
        let (callback, timer) = (state.callback.take(), state.timer.take());
        state.cancelled = true;
        drop(state);
        drop((callback, timer));
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[doc(alias = "asyncio.Handle.cancelled")]
    pub fn cancelled(&self) -> bool {
        self.0.lock().cancelled
    }

    /// The loop's time at which it is due; `None` for one that is called soon.
    #[doc(alias = "asyncio.TimerHandle.when")]
    pub fn when(&self) -> Option<Instant> {
        self.0.when
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("when", &self.0.when)
            .field("cancelled", &self.cancelled())
            .finish_non_exhaustive()
    }
}

impl EventLoop {
    /// Has a callback called soon, through the loop: never from in here.
    ///
    /// Callbacks run one at a time, in the order in which they were scheduled, each in the context variables that were
    /// current then; there is no current task in there. On one thread a callback runs in the next pass, in line with the
    /// tasks. One that panics is reported to the exception handler. It may be called from any thread.
    ///
    /// ```
    /// use kumihimo as asyncio;
    ///
    /// asyncio::run(async {
    ///     let event_loop = asyncio::get_running_loop();
    ///     let called = event_loop.create_future();
    ///     let answer = called.clone();
    ///     event_loop.call_soon(move || answer.set_result(42).unwrap());
    ///     assert_eq!(called.await, 42);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.call_soon")]
    #[track_caller]
    pub fn call_soon(&self, callback: impl FnOnce() + Send + 'static) -> Handle {
        let call = self.call(None, callback);
        call.0.clone().line_up();
        call
    }

    /// [`call_soon`](Self::call_soon), which may be called from any thread here.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.call_soon_threadsafe")]
    #[track_caller]
    pub fn call_soon_threadsafe(&self, callback: impl FnOnce() + Send + 'static) -> Handle {
        self.call_soon(callback)
    }

    /// Has a callback called after this long, as [`call_soon`](Self::call_soon) does, from any thread.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.call_later")]
    #[track_caller]
    pub fn call_later(&self, delay: Duration, callback: impl FnOnce() + Send + 'static) -> Handle {
        self.call_at(self.time().saturating_add(delay), callback)
    }

    /// Has a callback called when the loop's [time](Self::time) is `when`, as [`call_soon`](Self::call_soon) does, from any
    /// thread. It is never early, and those of one worker run in the order of their times.
    ///
    /// # Panics
    ///
    /// If the loop is closed.
    #[doc(alias = "asyncio.loop.call_at")]
    #[track_caller]
    pub fn call_at(&self, when: Instant, callback: impl FnOnce() + Send + 'static) -> Handle {
        let call = self.call(Some(when), callback);
        let this = call.0.clone();
        if self.is_current() {
            this.arm();
        } else {
            // Only a worker of the loop may add to its timers.
            self.scheduler().call_soon(Box::new(move || this.arm()));
        }
        call
    }

    #[track_caller]
    fn call(&self, when: Option<Instant>, callback: impl FnOnce() + Send + 'static) -> Handle {
        assert!(!self.is_closed(), "the event loop is closed: nothing can be called in it any more");
        let state = State { callback: Some(Box::new(callback)), ..State::default() };
        Handle(Arc::new(Call {
            state: Mutex::new(state),
            when,
            context: try_copy_context(),
            scheduler: self.scheduler().downgrade(),
        }))
    }
}
