//! Await links to things that are not tasks: a gather, say.
//!
//! On the flavour with one thread, a request to cancel a task goes at once to what the task awaits. Where that is a task, the
//! link is its address; where it is something that stands for several tasks, it is an [`AwaitLink`].

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use kumihimo_context::{CancelMessage, Forward};

use super::handle::TaskHandle;
use super::header::TaskRef;
use super::waker;
use crate::scheduler;

/// What stands for several tasks, and is awaited by one.
pub trait Awaited: Send + Sync {
    /// Whether the waker that is woken at the end is one of which `is` says so: the link holds only for the task that it wakes.
    fn is_woken_by(&self, is: &dyn Fn(&Waker) -> bool) -> bool;

    /// A request to cancel arrives: gives the tasks that it is passed on to, and notes it, unless there are none.
    fn request(&self, message: &CancelMessage) -> Vec<TaskHandle>;
}

/// A link to something [`Awaited`].
#[derive(Clone)]
pub struct AwaitLink(Arc<Target>);

/// One word points at it, so it wraps the wide pointer.
pub(crate) struct Target(Arc<dyn Awaited>);

thread_local! {
    /// What the step in progress has noted.
    static NOTED: RefCell<Noted> = const { RefCell::new(Noted { link: None, promises: Vec::new() }) };
}

/// What a step notes that a task awaits is kept alive until the task is suspended on it.
#[derive(Default)]
pub(crate) struct Noted {
    /// The last link.
    link: Option<AwaitLink>,
    /// Promises: unlike tasks, anybody may end and free them at any moment.
    promises: Vec<TaskHandle>,
}

/// A step on the flavour with one thread, until this is dropped: steps nest, as eager tasks do.
pub(crate) struct Noting(Noted);

impl Noting {
    pub(crate) fn begin() -> Noting {
        Noting(NOTED.take())
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        // What is dropped, is dropped after the borrow.
        let _ours = NOTED.replace(std::mem::take(&mut self.0));
    }
}

/// The step in progress has noted that it awaits this promise.
pub(crate) fn hold(promise: TaskRef) {
    let promise = TaskHandle::new(promise);
    NOTED.with_borrow_mut(|noted| noted.promises.push(promise));
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
        forward.wait_object(link.address());
        let _before = NOTED.with_borrow_mut(|noted| noted.link.replace(link.clone()));
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
    let noted = NOTED.with_borrow_mut(|noted| noted.link.take());
    let Some(link) = noted.filter(|link| link.address() == address) else { return false };
    // `give_back` drops this count.
    let _owned = Arc::into_raw(link.0);
    true
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
        self.0.is_woken_by(&|waker| waker::task_of(waker) == Some(task))
    }

    /// Passes a request on.
    pub(crate) fn request(&self, message: &CancelMessage) -> Vec<TaskHandle> {
        self.0.request(message)
    }
}
