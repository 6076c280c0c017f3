//! Await links to things that are not tasks: a gather, say.
//!
//! On the flavour with one thread, a request to cancel a task goes at once to what the task awaits. Where that is a task, the
//! link is its address; where it is something that stands for several tasks, it is an [`AwaitLink`].

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use kumihimo_context::{CancelMessage, Forward, WaitWord};

use super::handle::TaskHandle;
use super::header::TaskRef;
use super::waker;
use crate::scheduler;

/// What stands for several tasks, and is awaited by one.
pub trait Awaited: Send + Sync {
    /// Who is woken at the end: the link holds only for the task that this wakes.
    fn waker(&self) -> Option<Waker>;

    /// A request to cancel arrives: gives the tasks that it is passed on to, and notes it, unless there are none.
    fn request(&self, message: &CancelMessage) -> Vec<TaskHandle>;
}

/// A link to something [`Awaited`].
#[derive(Clone)]
pub struct AwaitLink(Arc<Target>);

/// One word points at it, so it wraps the wide pointer.
pub(crate) struct Target(Arc<dyn Awaited>);

thread_local! {
    /// The link that the poll in progress noted last. It keeps the target alive until the task is suspended on it.
    static NOTED: RefCell<Option<AwaitLink>> = const { RefCell::new(None) };
}

impl AwaitLink {
    /// A link to `target`.
    pub fn new(target: Arc<dyn Awaited>) -> AwaitLink {
        AwaitLink(Arc::new(Target(target)))
    }

    /// The target returns `Pending` from its poll: `forward` notes what the task awaits. Where requests don't follow links,
    /// that it awaits something.
    pub fn wait(
        this: &mut Option<AwaitLink>,
        target: impl FnOnce() -> Arc<dyn Awaited>,
        forward: &mut Forward,
    ) {
        if !scheduler::links_here() {
            return forward.wait_other();
        }
        let link = this.get_or_insert_with(|| AwaitLink::new(target()));
        forward.wait_object(WaitWord::object(link.address()));
        NOTED.set(Some(link.clone()));
    }

    fn address(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }
}

impl std::fmt::Debug for AwaitLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwaitLink").finish_non_exhaustive()
    }
}

/// The poll that has just returned noted that it awaits the object at this address: a suspended task comes to own the link,
/// by the address. False if that is not the last that was noted.
pub(crate) fn own_noted(address: *const ()) -> bool {
    let Some(link) = NOTED.take().filter(|link| link.address() == address) else { return false };
    // `give_back` drops this count.
    let _owned = Arc::into_raw(link.0);
    true
}

/// What an earlier poll noted leads nowhere any more.
pub(crate) fn forget() {
    NOTED.take();
}

/// The task is suspended no longer.
///
/// # Safety
///
/// `link` is the address given to an [`own_noted`] that returned true, and is given back once.
pub(crate) unsafe fn give_back(link: *const Target) {
    // SAFETY: as the caller says, `link` owns a count.
    drop(unsafe { Arc::from_raw(link) });
}

impl Target {
    /// Whether `task`, which is suspended, waits here.
    pub(crate) fn wakes(&self, task: TaskRef) -> bool {
        self.0.waker().is_some_and(|waker| waker::task_of(&waker) == Some(task))
    }

    /// Passes a request on.
    pub(crate) fn request(&self, message: &CancelMessage) -> Vec<TaskHandle> {
        self.0.request(message)
    }
}
