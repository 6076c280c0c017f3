//! `gather` and `try_gather`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use kumihimo_context::{CancelMessage, CancelledError, Forward, Leaf};
use kumihimo_executor::{AwaitLink, Awaited, Observer, TaskError, TaskHandle};

use crate::children::{Children, Gatherable, TryChildren};
use crate::sync::{Mutex, MutexGuard};

/// Runs futures concurrently, as tasks, and gives their values in order.
///
/// Takes a tuple of up to twelve, an array or a vector. The tasks start now, in order, not when the gather is awaited; a
/// `Task`, `&Task` or `SharedTask` among them is taken as it is.
///
/// | waits for | on an error | who is cancelled | returns |
/// |---|---|---|---|
/// | all | values are values, `Err`s too (see [`try_gather`]) | with the awaiter: all children | when the last has ended |
///
/// A child that was cancelled, or panicked, does so in the awaiter at once, while the others run on; with
/// [`outcomes`](Gather::outcomes) these are values too. Dropping a gather leaves its children running.
///
/// # Cancellation
///
/// Every child is cancelled, and the cancellation is raised here when the first of them has ended cancelled, or all have
/// ended; with `outcomes`, when all have.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver};
/// use kumihimo_combinators::gather;
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let (a, b) = gather((async { 1 }, async { "two" })).await;
/// assert_eq!((a, b), (1, "two"));
/// # }, |_| {}).unwrap();
/// ```
#[doc(alias = "asyncio.gather")]
#[track_caller]
pub fn gather<G: Gatherable>(futures: G) -> Gather<G::Children> {
    Gather(Core::new(futures.into_children(), Children::observe))
}

/// As [`gather`], for futures that return `Result`: gives all values, or the first error, at once.
///
/// | waits for | on an error | who is cancelled | returns |
/// |---|---|---|---|
/// | all, or the first `Err` | the others run on, their errors are dropped | with the awaiter: all children | at the first `Err`, or at the end |
///
/// # Cancellation
///
/// As for [`gather`].
#[doc(alias = "asyncio.gather")]
#[track_caller]
pub fn try_gather<G: Gatherable>(futures: G) -> TryGather<G::Children>
where
    G::Children: TryChildren,
{
    TryGather(Core::new(futures.into_children(), TryChildren::observe_results))
}

/// See [`gather`].
#[must_use = "awaiting it gives the values; the tasks run anyway"]
pub struct Gather<C: Children>(Core<C, TaskError>);

/// See [`Gather::outcomes`].
#[must_use = "awaiting it gives the outcomes; the tasks run anyway"]
pub struct Outcomes<C: Children>(Core<C, Infallible>);

/// See [`try_gather`].
#[must_use = "awaiting it gives the values; the tasks run anyway"]
pub struct TryGather<C: TryChildren>(Core<C, Stop<C>>);

/// Why a `try_gather` stops: an `Err`, or a child without a value.
type Stop<C> = Result<<C as TryChildren>::Error, TaskError>;

/// The children, and what they report to. `S` is a reason to stop before all have ended.
struct Core<C: Children, S> {
    children: C,
    /// Found, and not returned yet.
    stop: Option<S>,
    reports: Reporting,
    forward: Forward,
    leaf: Leaf,
    /// Where a request to the awaiter comes at once; made when it is needed.
    link: Option<AwaitLink>,
    end: End,
}

/// Whether the gather has ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Pending,
    Done,
    Cancelled(CancelledError),
}

/// Where children that have ended are noted, on whichever worker, and where they are cancelled together.
struct Reports {
    handles: Box<[TaskHandle]>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Children that have ended and were not looked at, in order.
    ended: Vec<usize>,
    /// Children that have not ended.
    left: usize,
    /// It has ended: all have, or one failed.
    over: bool,
    /// Children are waited for even when one has failed.
    all: bool,
    waker: Option<Waker>,
    /// Cancellation was requested; with this message.
    requested: Option<CancelMessage>,
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

/// The gather's own hold on its reports.
struct Reporting {
    reports: Arc<Reports>,
    /// The gather has ended.
    over: bool,
}

impl Drop for Reporting {
    fn drop(&mut self) {
        // Nobody awaits it any more: a link that is left leads nowhere.
        let waker = self.reports.lock().waker.take();
        drop(waker);
        if self.over {
            // What the others fail with concerns nobody.
            self.reports.handles.iter().filter(|child| !child.done()).for_each(TaskHandle::silence);
        }
    }
}

impl std::ops::Deref for Reporting {
    type Target = Arc<Reports>;

    fn deref(&self) -> &Arc<Reports> {
        &self.reports
    }
}

impl Awaited for Reports {
    fn is_woken_by(&self, is: &dyn Fn(&Waker) -> bool) -> bool {
        self.lock().waker.as_ref().is_some_and(is)
    }

    fn request(&self, message: &CancelMessage) -> Vec<TaskHandle> {
        let mut inner = self.lock();
        let is_left = |child: &&TaskHandle| !inner.over && !child.done();
        let left: Vec<_> = self.handles.iter().filter(is_left).cloned().collect();
        if !left.is_empty() {
            inner.requested = Some(message.clone());
        }
        left
    }
}

impl Observer for Reports {
    fn ended(&self, index: usize, with_value: bool) {
        let mut inner = self.lock();
        inner.ended.push(index);
        inner.left -= 1;
        inner.over |= inner.left == 0 || (!inner.all && !with_value);
        let waker = if inner.over { inner.waker.take() } else { None };
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Why a gather stops before all have ended.
trait Reason {
    /// Because a child was cancelled.
    fn is_cancelled(&self) -> bool;
}

impl Reason for TaskError {
    fn is_cancelled(&self) -> bool {
        TaskError::is_cancelled(self)
    }
}

impl Reason for Infallible {
    fn is_cancelled(&self) -> bool {
        match *self {}
    }
}

impl<E> Reason for Result<E, TaskError> {
    fn is_cancelled(&self) -> bool {
        self.as_ref().is_err_and(Reason::is_cancelled)
    }
}

impl<C: Children, S: Reason> Core<C, S> {
    fn new(
        mut children: C,
        observe: impl FnOnce(&mut C, &Arc<dyn Observer>, &mut dyn FnMut(usize, bool)),
    ) -> Core<C, S> {
        let left = children.len();
        let inner = Inner { ended: Vec::new(), left, over: false, all: false, waker: None, requested: None };
        let reports = Arc::new(Reports { handles: children.handles(), inner: Mutex::new(inner) });
        let observer: Arc<dyn Observer> = reports.clone();
        observe(&mut children, &observer, &mut |index, with_value| reports.ended(index, with_value));
        let end = if left == 0 { End::Done } else { End::Pending };
        Core {
            children,
            stop: None,
            reports: Reporting { reports, over: false },
            forward: Forward::new(),
            leaf: Leaf::new(),
            link: None,
            end,
        }
    }

    /// Gives children that have ended to `settle`, in order, until it gives a reason to stop. Ready with that, or when all
    /// have been given.
    fn poll_ended(
        &mut self,
        cx: &mut Context<'_>,
        mut settle: impl FnMut(&mut C, usize) -> Option<S>,
    ) -> Poll<Option<S>> {
        // What has been reported comes before a cancellation: one that comes after the end is for somebody further out.
        let mut ended = self.settle_reported(&mut settle);
        if !ended {
            self.forward.adopt();
        }
        if !ended
            && let Some(message) = self.forward.take()
            && !self.request(&message)
        {
            // They have ended but for telling so.
            self.forward.give_back(message);
        }
        if ended && self.ends_cancelled() {
            Forward::absorb();
        }
        ready!(self.leaf.enter(cx));
        while !ended {
            let known = self.reports.is_woken_by(&|waker| waker.will_wake(cx.waker()));
            // Wakers may be anybody's: they are cloned and dropped outside of the lock.
            let waker = if known { None } else { Some(cx.waker().clone()) };
            let mut inner = self.reports.lock();
            if inner.ended.is_empty() {
                let old = if waker.is_some() { std::mem::replace(&mut inner.waker, waker) } else { None };
                drop(inner);
                drop(old);
                self.leaf.forwarding();
                AwaitLink::wait(&mut self.link, || self.reports.reports.clone(), &mut self.forward);
                return Poll::Pending;
            }
            drop(inner);
            ended = self.settle_reported(&mut settle);
        }
        Poll::Ready(self.stop.take())
    }

    /// Looks at the children that have reported; true if there is a reason to stop, or all have.
    fn settle_reported(&mut self, settle: &mut impl FnMut(&mut C, usize) -> Option<S>) -> bool {
        loop {
            if self.stop.is_some() {
                return true;
            }
            let mut inner = self.reports.lock();
            let ended = std::mem::take(&mut inner.ended);
            if ended.is_empty() {
                return inner.left == 0;
            }
            drop(inner);
            for index in ended {
                self.stop = settle(&mut self.children, index);
                if self.stop.is_some() {
                    break;
                }
            }
        }
    }

    /// Cancels the children that have not ended; false if there are none.
    fn request(&mut self, message: &CancelMessage) -> bool {
        let left = self.reports.request(message);
        for child in &left {
            match message {
                Some(message) => child.cancel_with(message.clone()),
                None => child.cancel(),
            };
        }
        !left.is_empty()
    }

    /// Whether what has been found makes the gather raise a cancellation.
    fn ends_cancelled(&self) -> bool {
        match &self.stop {
            Some(reason) => reason.is_cancelled(),
            None => self.reports.lock().requested.is_some(),
        }
    }

    fn over(&mut self, end: End) {
        self.end = end;
        self.reports.over = true;
    }

    /// Ends, raising.
    fn raise<T>(&mut self, error: CancelledError, cx: &Context<'_>) -> Poll<T> {
        self.over(End::Cancelled(error.clone()));
        self.forward.raise(error.into_message(), cx);
        Poll::Pending
    }

    /// Ends with a child's failure.
    fn fail<T>(&mut self, error: TaskError, cx: &Context<'_>) -> Poll<T> {
        match error {
            TaskError::Cancelled(error) => self.raise(error, cx),
            TaskError::Panicked(panic) => {
                self.forward.settle();
                self.over(End::Done);
                panic.resume()
            }
        }
    }

    /// All children have ended: raises if that was asked for.
    fn finish<T>(&mut self, cx: &Context<'_>, value: impl FnOnce(&mut C) -> T) -> Poll<T> {
        let requested = self.reports.lock().requested.take();
        if let Some(message) = requested {
            return self.raise(CancelledError::new(message), cx);
        }
        self.forward.settle();
        self.over(End::Done);
        Poll::Ready(value(&mut self.children))
    }

    /// Polled after it has raised: it raises again.
    fn poll_raised<T>(&mut self, cx: &Context<'_>) -> Option<Poll<T>> {
        match &self.end {
            End::Cancelled(error) => {
                let error = error.clone();
                Some(self.raise(error, cx))
            }
            _ => None,
        }
    }

    fn cancel(&mut self, message: CancelMessage) -> bool {
        self.end == End::Pending && self.request(&message)
    }

    fn done(&self) -> bool {
        let inner = self.reports.lock();
        self.end != End::Pending || inner.over || inner.left == 0
    }
}

macro_rules! methods {
    ($($name:ident: $bound:ident),*) => {$(
        impl<C: $bound> $name<C> {
            /// Cancels the children that have not ended; false if the gather has.
            #[doc(alias = "asyncio.Future.cancel")]
            pub fn cancel(&mut self) -> bool {
                self.0.cancel(None)
            }

            /// [`cancel`](Self::cancel), with a message for whoever catches the cancellation.
            pub fn cancel_with(&mut self, message: impl Into<Arc<str>>) -> bool {
                self.0.cancel(Some(message.into()))
            }

            /// Whether it has ended, or will as soon as it is awaited.
            #[doc(alias = "asyncio.Future.done")]
            pub fn done(&self) -> bool {
                self.0.done()
            }

            /// Whether it ended by raising a cancellation.
            #[doc(alias = "asyncio.Future.cancelled")]
            pub fn cancelled(&self) -> bool {
                matches!(self.0.end, End::Cancelled(_))
            }
        }

        impl<C: $bound> Unpin for $name<C> {}

        impl<C: $bound> std::fmt::Debug for $name<C> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("children", &self.0.children.len()).finish_non_exhaustive()
            }
        }
    )*};
}

methods!(Gather: Children, Outcomes: Children, TryGather: TryChildren);

impl<C: Children> Gather<C> {
    /// Waits for all children, whatever happens, and gives their cancellations and panics as values too: asyncio's
    /// `return_exceptions=True`.
    pub fn outcomes(self) -> Outcomes<C> {
        let mut inner = self.0.reports.lock();
        inner.all = true;
        inner.over = inner.left == 0;
        drop(inner);
        let Core { children, reports, forward, leaf, link, end, .. } = self.0;
        Outcomes(Core { children, stop: None, reports, forward, leaf, link, end })
    }
}

impl<C: Children> Future for Gather<C> {
    type Output = C::Values;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Values> {
        let core = &mut self.get_mut().0;
        if let Some(raised) = core.poll_raised(cx) {
            return raised;
        }
        match ready!(core.poll_ended(cx, |children, index| children.settle(index).err())) {
            Some(error) => core.fail(error, cx),
            None => core.finish(cx, C::values),
        }
    }
}

impl<C: Children> Future for Outcomes<C> {
    type Output = C::Outcomes;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Outcomes> {
        let core = &mut self.get_mut().0;
        if let Some(raised) = core.poll_raised(cx) {
            return raised;
        }
        let settle = |children: &mut C, index| {
            children.settle_outcome(index);
            None
        };
        ready!(core.poll_ended(cx, settle));
        core.finish(cx, C::outcomes)
    }
}

impl<C: TryChildren> Future for TryGather<C> {
    type Output = Result<C::Oks, C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core = &mut self.get_mut().0;
        if let Some(raised) = core.poll_raised(cx) {
            return raised;
        }
        let settle = |children: &mut C, index| match children.settle(index) {
            Err(error) => Some(Err(error)),
            Ok(()) => children.take_error(index).map(Ok),
        };
        match ready!(core.poll_ended(cx, settle)) {
            Some(Err(error)) => core.fail(error, cx),
            Some(Ok(error)) => {
                core.forward.settle();
                core.over(End::Done);
                Poll::Ready(Err(error))
            }
            None => core.finish(cx, |children| Ok(children.oks())),
        }
    }
}
