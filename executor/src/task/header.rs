//! The part of a task that does not depend on its future, and the pointer to it.
//!
//! Who may touch what, and when:
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `state` | everybody, by its transitions | everybody |
//! | `waiters` | awaiters, and the worker that completes the task | the same |
//! | `wait` | the worker that runs the task | anybody, as a hint; its loop's thread, as a link |
//! | `extras` | whoever needs them first | everybody after that |
//! | the rest | creation, before the task is known to anybody | everybody |

use std::alloc::Layout;
use std::any::Any;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use kumihimo_context::WaitWord;
use kumihimo_context::model::atomic;

use super::extras::Extras;
use super::failure::Failure;
use super::handle::TaskHandle;
use super::id::TaskId;
use super::link::{self, Target};
use super::report::{self, Report};
use super::state::{State, Wake};
use super::waiters::Waiters;
use crate::scheduler::{Dispatching, Shared, dispatching, schedule};
use crate::sync::alloc::dealloc;
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use crate::sync::{Backoff, Memory};

/// What every task begins with.
#[repr(C)]
pub(crate) struct Header {
    /// The state word.
    pub(crate) state: State,
    /// The functions of this kind of future.
    pub(crate) vtable: &'static VTable,
    /// The runtime: alive at least until the task is complete.
    pub(crate) runtime: *const Shared,
    /// Where the registry keeps the task; `shard` is also the worker that a pinned task belongs to.
    pub(crate) place: Place,
    /// Who awaits the task.
    pub(crate) waiters: Waiters,
    /// The `create_task` call.
    pub(crate) site: &'static Location<'static>,
    /// The task's id.
    pub(crate) id: TaskId,
    /// The id of the task that created it; zero if none did.
    pub(crate) parent: TaskId,
    /// A [`WaitWord`]: what the task is suspended on.
    wait: AtomicUsize,
    /// Name and cancellation requests, made on first use.
    extras: AtomicPtr<Extras>,
    /// Stands for the output, where a model looks.
    pub(crate) output: Memory,
}

/// What a task is suspended on: it owns a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Another task.
    Task(TaskRef),
    /// Something that stands for several.
    Object(*const Target),
}

/// A task's slot in the registry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which shard: the worker that created the task, or one past the last worker for other threads.
    pub(crate) shard: u32,
    /// Which slot of the shard.
    pub(crate) slot: u32,
}

/// What depends on the future's type.
pub(crate) struct VTable {
    /// Polls the future; on anything but `Pending` the future has been dropped, and on a value the output stored.
    pub(crate) poll: PollFn,
    /// Drops the future; gives the panic of its destructor.
    pub(crate) drop_future: unsafe fn(NonNull<Header>) -> Result<(), Payload>,
    /// Drops the stored output.
    pub(crate) drop_output: unsafe fn(NonNull<Header>),
    /// Offset of the future, output or failure from the header.
    pub(crate) stage: usize,
    /// Layout of the whole allocation.
    pub(crate) layout: Layout,
}

/// Polls a task's future.
pub(crate) type PollFn = unsafe fn(NonNull<Header>, &mut Context<'_>) -> Poll<Result<(), Payload>>;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A task, by address: what queues hold. Copies are not counted; see the `state` module for who keeps a task alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: a header is touched from any thread by design: its fields are atomics, locked, or constant after creation. The
// future and the output, which may not be `Send`, are reached only by the worker that runs the task (pinned tasks: always
// the one that created it) and by `Task` and `SharedTask`, which are `Send` only where the output is.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl Header {
    pub(crate) fn new(
        state: State,
        vtable: &'static VTable,
        runtime: *const Shared,
        birth: (TaskId, TaskId, &'static Location<'static>),
    ) -> Header {
        let (id, parent, site) = birth;
        Header {
            state,
            vtable,
            runtime,
            place: Place { shard: 0, slot: 0 },
            waiters: Waiters::new(),
            site,
            id,
            parent,
            wait: AtomicUsize::new(0),
            extras: AtomicPtr::new(std::ptr::null_mut()),
            output: Memory::new(),
        }
    }

    /// What the task waits for.
    pub(crate) fn wait(&self) -> WaitWord {
        // Relaxed: a hint to other threads; the loop's own thread wrote it itself.
        WaitWord::from_bits(self.wait.load(Relaxed))
    }

    #[inline]
    pub(crate) fn set_wait(&self, wait: WaitWord) {
        self.wait.store(wait.to_bits(), Relaxed);
    }

    /// What this task is suspended on, where requests to cancel follow such links.
    pub(crate) fn link(&self) -> Option<Link> {
        let wait = self.wait();
        if let Some(target) = wait.target() {
            return Some(Link::Task(TaskRef::from_tagged(target.cast_mut().cast())));
        }
        Some(Link::Object(wait.object_target()?.cast()))
    }

    /// Where requests follow links, suspends the task on what its poll left behind: a link owns a reference. True if there
    /// is one.
    pub(crate) fn set_link(&self, wait: WaitWord) -> bool {
        self.set_wait(wait);
        let this = TaskRef::new(self.into());
        let linked = match self.link() {
            // Not complete, as this loop has run nothing since it was found so: hence alive.
            Some(Link::Task(target)) if target.header().waiters.include(this) => {
                target.header().state.add_ref();
                true
            }
            Some(Link::Object(target)) => link::own_noted(target.cast()),
            Some(Link::Task(_)) => false,
            None => return false,
        };
        if !linked {
            self.set_wait(WaitWord::MANY);
        }
        linked
    }

    /// The task is suspended no longer: gives up its link, or its place in a queue.
    pub(crate) fn drop_link(&self) {
        let Some(link) = self.link() else {
            if self.wait().is_queued() {
                self.set_wait(WaitWord::NONE);
            }
            return;
        };
        self.set_wait(WaitWord::NONE);
        match link {
            Link::Task(target) => target.drop_ref(),
            // SAFETY: `set_link` took it, and the word forgets it.
            Link::Object(target) => unsafe { link::give_back(target) },
        }
    }

    /// Whether it is a promise: a task without a body.
    pub(crate) fn is_promise(&self) -> bool {
        self.parent == TaskId::PROMISE
    }

    /// Whether its failure concerns nobody.
    pub(crate) fn is_quiet(&self) -> bool {
        self.try_extras().is_some_and(|extras| matches!(*extras.report.lock(), Some(Report::Quiet)))
    }

    /// The extras, made if need be.
    pub(crate) fn extras(&self) -> &Extras {
        if let Some(extras) = self.try_extras() {
            return extras;
        }
        let new = Box::into_raw(Box::default());
        // Release: publishes the new extras to the Acquire in `try_extras`. Acquire on failure: sees the other's.
        match self.extras.compare_exchange(std::ptr::null_mut(), new, Release, Acquire) {
            // SAFETY: just made, published, and freed only with the header.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: ours was not published.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: published by another thread, and freed only with the header.
                let other = unsafe { &*other };
                other.memory.is_read();
                other
            }
        }
    }

    /// The extras, if anybody needed them.
    #[inline]
    pub(crate) fn try_extras(&self) -> Option<&Extras> {
        // Acquire: pairs with the exchange in `extras`. SAFETY: freed only with the header.
        let extras = unsafe { self.extras.load(Acquire).as_ref() };
        if let Some(extras) = extras {
            extras.memory.is_read();
        }
        extras
    }
}

impl Drop for Header {
    fn drop(&mut self) {
        let extras = self.extras.load(Relaxed);
        if !extras.is_null() {
            // SAFETY: made by `Box::into_raw` in `extras`, and nobody has the header any more.
            drop(unsafe { Box::from_raw(extras) });
        }
    }
}

impl TaskRef {
    #[inline]
    pub(crate) fn new(header: NonNull<Header>) -> TaskRef {
        TaskRef(header)
    }

    /// A task whose address carries tags in its low bits.
    pub(crate) fn from_tagged(ptr: *mut Header) -> TaskRef {
        let ptr = ptr.map_addr(|addr| addr & !(align_of::<Header>() - 1));
        TaskRef(NonNull::new(ptr).expect("a tagged task is never null"))
    }

    #[inline]
    pub(crate) fn as_ptr(self) -> *mut Header {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn pointer(self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    pub(crate) fn addr(self) -> usize {
        self.0.addr().get()
    }

    /// The header. Whoever holds a `TaskRef` sees to it that the task is alive for as long as the reference is used.
    #[inline]
    pub(crate) fn header<'a>(self) -> &'a Header {
        // SAFETY: a `TaskRef` is made from a live task and used only while a reference, an interest, the registry, or the
        // fact that the task is scheduled or running keeps it alive (see the `state` module).
        unsafe { self.0.as_ref() }
    }

    /// Waits for the end of a task that is about to end: between two steps of `end` on another worker.
    #[cold]
    pub(crate) fn wait_complete(self) {
        let mut backoff = Backoff::default();
        while self.header().state.ended().is_none() {
            backoff.spin();
        }
    }

    /// Wakes the task and gives up a reference.
    #[inline]
    pub(crate) fn wake(self) {
        let _atomic = atomic();
        let dispatching = dispatching();
        if dispatching == Dispatching::Calls {
            return TaskHandle::from_owned(self).wake_in_turn();
        }
        match self.header().state.wake(dispatching == Dispatching::Tasks, true) {
            Wake::Nothing => {}
            Wake::Schedule => schedule(self),
            Wake::Free => self.free(),
        }
    }

    /// Wakes the task.
    #[inline]
    pub(crate) fn wake_by_ref(self) {
        let _atomic = atomic();
        let dispatching = dispatching();
        if dispatching == Dispatching::Calls {
            return TaskHandle::new(self).wake_in_turn();
        }
        if self.header().state.wake(dispatching == Dispatching::Tasks, false) == Wake::Schedule {
            schedule(self);
        }
    }

    /// Gives up a reference.
    #[inline]
    pub(crate) fn drop_ref(self) {
        let _atomic = atomic();
        if self.header().state.drop_ref() {
            self.free();
        }
    }

    /// Gives up an ownership of the output. `taken`: the caller has moved it out.
    #[inline]
    pub(crate) fn drop_interest(self, taken: bool) {
        let dropped = self.header().state.drop_interest(taken);
        if dropped.output {
            self.drop_outcome();
            self.drop_ref();
        } else if dropped.free {
            self.free();
        }
    }

    /// Where the future, the output or the failure is.
    #[inline]
    pub(crate) fn stage<T>(self) -> *mut T {
        // SAFETY: the offset stays inside of the allocation that the header begins.
        unsafe { self.0.as_ptr().byte_add(self.header().vtable.stage).cast() }
    }

    /// Drops what a complete task ended with.
    #[inline]
    pub(crate) fn drop_outcome(self) {
        if !self.header().state.is_plain_value() {
            return self.drop_special();
        }
        self.header().output.is_written();
        // SAFETY: the task ended with a value that nobody has moved out; the caller is its last owner.
        unsafe { (self.header().vtable.drop_output)(self.0) };
    }

    /// Drops an output that may have to be reported, or a failure.
    #[cold]
    fn drop_special(self) {
        match self.header().state.ended() {
            // SAFETY: as in `drop_outcome`.
            Some(super::state::Ended::Value) => unsafe {
                report::before_drop(self);
                self.header().output.is_written();
                (self.header().vtable.drop_output)(self.0);
            },
            // SAFETY: a failed task's stage holds its failure; the caller is its last owner.
            Some(_) => unsafe { self.stage::<Box<Failure>>().drop_in_place() },
            None => debug_assert!(false, "dropping the outcome of a task that has not ended"),
        }
    }

    /// Frees a task that nobody refers to any more; its stage is empty.
    #[cold]
    fn free(self) {
        let layout = self.header().vtable.layout;
        // SAFETY: the last reference was given up, so this is the only access; the allocation was made with this layout.
        unsafe {
            self.0.as_ptr().drop_in_place();
            dealloc(self.0.as_ptr().cast(), layout);
        }
    }
}
