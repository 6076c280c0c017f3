//! The tasks of a group: who has not ended, what went wrong, and who is told.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{CancelMessage, Leaf, WaitKind};
use kumihimo_executor::{Observation, Observer, TaskHandle, links_here};

use crate::part::Part;
use crate::sync::{Mutex, MutexGuard};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A group's shared side: the block's future, its handles and its tasks have it.
pub(crate) struct Members<E> {
    /// The block, until it ends; then the wait for the tasks.
    pub(crate) part: Part,
    /// The group's own requests are known by it: it is their message, and says nothing.
    token: Arc<str>,
    /// No task is cancelled and nobody woken with the lock held.
    inner: Mutex<Inner<E>>,
}

struct Inner<E> {
    /// Tasks that have not ended, or whose end was not told; and places for others.
    slots: Vec<Slot>,
    /// Slots without a task.
    free: Vec<usize>,
    /// Slots with one.
    left: usize,
    /// Tasks that were created so far.
    created: u64,
    /// The block has ended.
    exiting: bool,
    /// All tasks were cancelled; no others may begin.
    aborting: bool,
    /// The group has cancelled its parent, which it takes back in the end.
    requested: bool,
    /// Nobody waits for the tasks any more.
    over: bool,
    /// In the order in which the tasks ended.
    errors: Vec<E>,
    /// The first.
    panic: Option<Payload>,
}

/// A task's place.
#[derive(Default)]
struct Slot {
    /// Which task it is, counted from one; zero if there is none.
    created: u64,
    /// Missing while the task is being made, and once its end is told.
    task: Option<TaskHandle>,
    observation: Option<Observation>,
    /// It has left an error or a panic.
    failed: bool,
}

/// A slot that a task has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    slot: usize,
    created: u64,
}

/// A slot for a task that is about to be made. Given back if that fails.
pub(crate) struct Reserved<'a, E: Send + 'static> {
    members: &'a Arc<Members<E>>,
    pub(crate) member: Member,
    entered: bool,
}

/// Why no task may be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Over,
    ShuttingDown,
}

/// What the tasks came to.
pub(crate) struct Ends<E> {
    /// The group had cancelled its parent.
    pub(crate) requested: bool,
    pub(crate) errors: Vec<E>,
    pub(crate) panic: Option<Payload>,
}

impl<E> Members<E> {
    /// An empty group in this task.
    pub(crate) fn new(parent: TaskHandle) -> Members<E> {
        let inner = Inner {
            slots: Vec::new(),
            free: Vec::new(),
            left: 0,
            created: 0,
            exiting: false,
            aborting: false,
            requested: false,
            over: false,
            errors: Vec::new(),
            panic: None,
        };
        let token: Arc<str> = Arc::from("");
        Members { part: Part::new(parent, Some(token.clone())), token, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<E>> {
        self.inner.lock()
    }

    /// A task has returned an error.
    pub(crate) fn failed(&self, member: Member, error: E) {
        let mut inner = self.lock();
        inner.slots[member.slot].failed = true;
        if !inner.over {
            return inner.errors.push(error);
        }
        // Of a group that was dropped, it concerns nobody; and it is dropped after the lock.
        drop(inner);
        drop(error);
    }

    /// A task has panicked.
    pub(crate) fn panicked(&self, member: Member, payload: Payload) {
        let mut inner = self.lock();
        inner.slots[member.slot].failed = true;
        let unwanted = if inner.panic.is_none() { inner.panic.replace(payload) } else { Some(payload) };
        drop(inner);
        drop(unwanted);
    }

    /// Whether all tasks have ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().left == 0
    }

    /// The block has ended. If it `failed` (was cancelled, too), so has the group.
    pub(crate) fn exit(&self, failed: bool) {
        self.lock().exiting = true;
        if failed {
            self.abort();
        }
    }

    /// Cancels all tasks; false if that was done before.
    pub(crate) fn abort(&self) -> bool {
        let Some(tasks) = self.lock().begin_abort() else { return false };
        self.cancel(&tasks);
        true
    }

    fn cancel(&self, tasks: &[TaskHandle]) {
        tasks.iter().for_each(|task| _ = task.cancel_with(self.token.clone()));
    }

    /// Whether a request is the group's own.
    pub(crate) fn is_own(&self, request: &CancelMessage) -> bool {
        request.as_ref().is_some_and(|message| Arc::ptr_eq(message, &self.token))
    }

    /// Whether the group has cancelled its tasks.
    pub(crate) fn is_aborting(&self) -> bool {
        self.lock().aborting
    }

    /// Waits until all tasks have ended.
    pub(crate) fn poll_empty(&self, leaf: &mut Leaf, cx: &Context<'_>) -> Poll<()> {
        ready!(leaf.enter(cx));
        // Before looking: who ends after that wakes us.
        self.part.wait(cx);
        if self.is_empty() {
            return Poll::Ready(());
        }
        leaf.wait(WaitKind::Other);
        Poll::Pending
    }

    /// All tasks have ended, and the group is over.
    pub(crate) fn finish(&self) -> Ends<E> {
        self.part.end();
        let mut inner = self.lock();
        inner.over = true;
        Ends {
            requested: std::mem::take(&mut inner.requested),
            errors: std::mem::take(&mut inner.errors),
            panic: inner.panic.take(),
        }
    }

    /// The group's future is dropped. True if the group had cancelled its parent, and nobody else has.
    pub(crate) fn abandon(&self) -> bool {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.over, true) {
            return false;
        }
        inner.exiting = true;
        let requested = std::mem::take(&mut inner.requested);
        let unwanted = (std::mem::take(&mut inner.errors), inner.panic.take());
        drop(inner);
        drop(unwanted);
        self.abort();
        self.part.end();
        requested && self.part.take_back()
    }
}

impl<E: Send + 'static> Members<E> {
    /// A slot for a task.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Reserved<'_, E>, Refused> {
        let mut inner = self.lock();
        if inner.over || inner.exiting && inner.left == 0 {
            return Err(Refused::Over);
        }
        if inner.aborting {
            return Err(Refused::ShuttingDown);
        }
        inner.created += 1;
        inner.left += 1;
        let created = inner.created;
        let slot = inner.free.pop().unwrap_or_else(|| {
            inner.slots.push(Slot::default());
            inner.slots.len() - 1
        });
        inner.slots[slot].created = created;
        drop(inner);
        Ok(Reserved { members: self, member: Member { slot, created }, entered: false })
    }

    fn enter(self: &Arc<Self>, member: Member, task: &TaskHandle) {
        if task.done() {
            return self.ended(member.slot, !task.cancelled());
        }
        let mut inner = self.lock();
        inner.slots[member.slot].task = Some(task.clone());
        let late = inner.aborting;
        drop(inner);
        if late {
            task.cancel_with(self.token.clone());
        }
        let observation = task.observe(self.clone(), member.slot);
        let mut inner = self.lock();
        let slot = &mut inner.slots[member.slot];
        // Told already, and the slot given away?
        let told = slot.created != member.created;
        let unneeded = if told { Some(observation) } else { slot.observation.replace(observation) };
        drop(inner);
        drop(unneeded);
    }
}

impl<E: Send + 'static> Observer for Members<E> {
    /// A task has ended: asyncio's `_on_task_done`.
    fn ended(&self, slot: usize, with_value: bool) {
        let mut inner = self.lock();
        let Slot { task, observation, mut failed, .. } = std::mem::take(&mut inner.slots[slot]);
        if !failed && !with_value && task.as_ref().is_some_and(|task| !task.cancelled()) {
            failed = true;
            inner
                .panic
                .get_or_insert_with(|| Box::new("a task of a task group panicked while it was dropped"));
        }
        let siblings = if failed { inner.begin_abort() } else { None };
        let mut wake = false;
        if let Some(siblings) = siblings {
            drop(inner);
            self.cancel(&siblings);
            inner = self.lock();
            // The parent does not leave before this task is off its list, so it finds the request counted.
            if !inner.over {
                inner.requested = true;
                // As in a time-out's expiry.
                let held = (!links_here()).then_some(inner);
                wake = self.part.request();
                inner = held.unwrap_or_else(|| self.lock());
            }
        }
        inner.free.push(slot);
        inner.left -= 1;
        wake |= inner.exiting && inner.left == 0;
        drop(inner);
        drop((task, observation));
        if wake {
            self.part.wake();
        }
    }
}

impl<E> Inner<E> {
    /// From now on the group shuts down: gives whom to cancel, in order of creation; `None` if it did before.
    fn begin_abort(&mut self) -> Option<Vec<TaskHandle>> {
        if std::mem::replace(&mut self.aborting, true) {
            return None;
        }
        let tasks = self.slots.iter().filter_map(|slot| Some((slot.created, slot.task.clone()?)));
        let mut tasks: Vec<_> = tasks.collect();
        tasks.sort_unstable_by_key(|(created, _)| *created);
        Some(tasks.into_iter().map(|(_, task)| task).collect())
    }
}

impl<E: Send + 'static> Reserved<'_, E> {
    /// The task was made.
    pub(crate) fn enter(mut self, task: &TaskHandle) {
        self.entered = true;
        self.members.enter(self.member, task);
    }
}

impl<E: Send + 'static> Drop for Reserved<'_, E> {
    fn drop(&mut self) {
        if !self.entered {
            self.members.ended(self.member.slot, true);
        }
    }
}

impl<E> fmt::Debug for Members<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("TaskGroup")
            .field("tasks", &inner.left)
            .field("errors", &inner.errors.len())
            .field("cancelling", &inner.aborting)
            .finish_non_exhaustive()
    }
}
