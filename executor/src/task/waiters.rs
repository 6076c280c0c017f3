//! Who waits for the end of a task: one word, one FIFO order.
//!
//! Nearly every task is awaited by at most one task of ours, so the word holds just that task's address. A second
//! waiter, a waker of another executor or an observer moves everybody into a list, in the order in which they came.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | nobody waits |
//! | `task \| 2` | this task alone waits; the word owns a reference to it |
//! | `list` | a boxed list |
//! | 3 | somebody works on the list: spin |
//! | 1 | closed: the task has ended, or is about to |
//!
//! The lone waiter is counted as a reference, as it may end and be freed while it stands in the word: a future that was
//! polled once may be forgotten, or given to another task. The wake-up gives the reference up in the same step.

use std::ptr;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::failure::quietly;
use super::header::TaskRef;
use super::waker;
use crate::scheduler::{self, Call, Flavor, Shared};
use crate::sync::Backoff;
use crate::sync::Memory;
use crate::sync::atomic::{AtomicPtr, Ordering::*};

const CLOSED: usize = 1;
const LOCKED: usize = 3;
const TASK: usize = 2;
const TAGS: usize = 3;

/// Is told that a task has ended: on several workers at once, by the one that ran it; on one thread by the loop, in its next
/// pass. Must be quick and must not panic.
pub trait Observer: Send + Sync {
    /// The task registered under this index has ended, with a value or not. To who observes its `Ok`, an `Err` is none.
    fn ended(&self, index: usize, with_value: bool);
}

/// The word. See the module's table.
#[derive(Debug)]
pub(crate) struct Waiters(AtomicPtr<List>);

/// Somebody in the list.
enum Waiter {
    /// A task of ours; owns a reference.
    Task(TaskRef),
    /// Another executor's task, or a wrapped waker.
    Waker(Waker),
    /// A combinator.
    Observer(Observing),
    /// A callback of the user's.
    Callback(Box<dyn FnOnce() + Send>),
}

/// A combinator that waits to be told.
pub(crate) struct Observing {
    pub(crate) observer: Arc<dyn Observer>,
    /// The task's place in the combinator.
    pub(crate) index: usize,
    /// Says whether the output, at this address, counts as a failure; `None` if no output does.
    pub(crate) is_err: Option<IsErr>,
    /// What it said.
    pub(crate) failed: bool,
}

/// Whether the `Result` at an address is an `Err`; see [`Observing`].
pub(crate) type IsErr = unsafe fn(*const ()) -> bool;

/// Waiters in order of arrival. Tokens ascend, so a waiter is found by binary search; who left leaves a gap.
#[derive(Default)]
struct List {
    entries: Vec<(u64, Option<Waiter>)>,
    /// Entries that are not gaps.
    live: usize,
    /// The next token.
    next: u64,
    /// What a model sees of its changes.
    memory: Memory,
}

/// Where a waiting future stands in a task's waiters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Registered {
    /// Nowhere.
    #[default]
    No,
    /// Alone in the word, on behalf of this task.
    Alone(TaskRef),
    /// In the list, under this token.
    Listed(u64),
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters(AtomicPtr::new(ptr::null_mut()))
    }

    /// Registers the polling task, or confirms that it is. False if the task has ended, or is about to.
    #[inline]
    pub(crate) fn register(&self, registered: &mut Registered, cx: &Context<'_>) -> bool {
        let polling = waker::task_of(cx.waker());
        if let (Some(task), Registered::Alone(alone)) = (polling, *registered)
            && task == alone
        {
            // Relaxed: only what it is counts; who finds it closed waits for the state word, which tells the rest.
            let word = self.0.load(Relaxed);
            if word.addr() == CLOSED {
                return false;
            }
            if word.addr() == task.addr() | TASK {
                return true;
            }
        }
        self.register_slow(registered, cx, polling)
    }

    fn register_slow(&self, registered: &mut Registered, cx: &Context<'_>, polling: Option<TaskRef>) -> bool {
        if *registered == Registered::No
            && let Some(task) = polling
        {
            task.header().state.add_ref();
            let word = task.as_ptr().cast::<List>().map_addr(|addr| addr | TASK);
            // Release: pairs with the exchange in `close`, so the waker's side sees what this task did before suspending.
            if self.0.compare_exchange(ptr::null_mut(), word, Release, Relaxed).is_ok() {
                *registered = Registered::Alone(task);
                return true;
            }
            task.drop_ref();
        }
        // Made before the list is locked: cloning a waker of somebody else's may run any code.
        let waiter = match polling {
            Some(task) => {
                task.header().state.add_ref();
                Waiter::Task(task)
            }
            None => Waiter::Waker(cx.waker().clone()),
        };
        self.update_list(registered, waiter)
    }

    /// Adds an observer. False if the task has ended, or is about to, and the observer will not be told.
    ///
    /// # Safety
    ///
    /// What `is_err` looks at, if it is there, is the type of the task's output.
    pub(crate) unsafe fn observe(&self, observing: Observing, registered: &mut Registered) -> bool {
        self.update_list(registered, Waiter::Observer(observing))
    }

    /// Adds a callback, under a token by which it can be removed. Gives it back if the task has ended, or is about to.
    pub(crate) fn call_back(
        &self,
        callback: Box<dyn FnOnce() + Send>,
    ) -> Result<u64, Box<dyn FnOnce() + Send>> {
        let Some(mut list) = self.lock() else { return Err(callback) };
        let token = list.push(Waiter::Callback(callback));
        self.unlock(list);
        Ok(token)
    }

    /// Puts `waiter` where `registered` says, or at the end.
    fn update_list(&self, registered: &mut Registered, waiter: Waiter) -> bool {
        let Some(mut list) = self.lock() else {
            waiter.release();
            return false;
        };
        let replaced = match *registered {
            Registered::Listed(token) => list.replace(token, waiter),
            // The lock moved the lone waiter to the front.
            Registered::Alone(_) => {
                *registered = Registered::Listed(0);
                list.replace(0, waiter)
            }
            Registered::No => {
                *registered = Registered::Listed(list.push(waiter));
                None
            }
        };
        self.unlock(list);
        if let Some(old) = replaced {
            old.release();
        }
        true
    }

    /// Whether this task, which is suspended, waits here.
    pub(crate) fn include(&self, task: TaskRef) -> bool {
        // Relaxed: asked where requests follow links, which is on the one thread that writes it; a list is locked for a look.
        let word = self.0.load(Relaxed).addr();
        match word & TAGS {
            TASK => word == task.addr() | TASK,
            0 if word == 0 => false,
            _ if word == CLOSED => false,
            _ => self.list_includes(task),
        }
    }

    #[cold]
    fn list_includes(&self, task: TaskRef) -> bool {
        let Some(list) = self.lock() else { return false };
        let is_task = |waiter: &Waiter| matches!(waiter, Waiter::Task(other) if *other == task);
        let found = list.entries.iter().rev().filter_map(|(_, waiter)| waiter.as_ref()).any(is_task);
        self.unlock(list);
        found
    }

    /// Forgets the callback of this token; false if it is gone.
    pub(crate) fn remove_callback(&self, token: u64) -> bool {
        let Some(mut list) = self.lock() else { return false };
        let removed = list.remove(token);
        self.unlock(list);
        let found = removed.is_some();
        if let Some(callback) = removed {
            callback.release();
        }
        found
    }

    /// Forgets a waiter that gives up.
    #[inline]
    pub(crate) fn deregister(&self, registered: &mut Registered) {
        let token = match std::mem::take(registered) {
            Registered::No => return,
            Registered::Alone(task) => {
                let word = task.as_ptr().cast::<List>().map_addr(|addr| addr | TASK);
                // Relaxed: we have put it there ourselves, and nothing is handed over.
                match self.0.compare_exchange(word, ptr::null_mut(), Relaxed, Relaxed) {
                    Ok(_) => return task.drop_ref(),
                    // It is being told, or others came, and we are the first of their list.
                    Err(_) => 0,
                }
            }
            Registered::Listed(token) => token,
        };
        let Some(mut list) = self.lock() else { return };
        let removed = list.remove(token);
        self.unlock(list);
        if let Some(waiter) = removed {
            waiter.release();
        }
    }

    /// Begins the task's end: nobody can register from here on. Who did is returned, to be [told](Told::tell) once the
    /// task is complete.
    #[inline]
    pub(crate) fn close(&self) -> Told {
        // Relaxed: a guess, which the exchange verifies; who finds it closed waits for the state word, which tells the rest.
        let mut word = self.0.load(Relaxed);
        let mut backoff = Backoff::default();
        loop {
            match word.addr() {
                CLOSED => return Told(Waiting::Nobody),
                LOCKED => {
                    backoff.spin();
                    word = self.0.load(Relaxed);
                    continue;
                }
                _ => {}
            }
            // Acquire: pairs with the Release in `register_slow` and `unlock`, to see the waiters.
            match self.0.compare_exchange_weak(word, ptr::without_provenance_mut(CLOSED), Acquire, Relaxed) {
                Ok(_) => break,
                Err(seen) => word = seen,
            }
        }
        match word.addr() {
            0 => Told(Waiting::Nobody),
            addr if addr & TAGS == TASK => Told(Waiting::Alone(TaskRef::from_tagged(word.cast()))),
            _ => {
                // SAFETY: without tags the word is a list that `unlock` boxed, and the exchange made it ours alone.
                let list = unsafe { Box::from_raw(word) };
                list.memory.is_written();
                Told(Waiting::List(list))
            }
        }
    }

    /// Takes the list out, making one of what is there. `None` if closed.
    fn lock(&self) -> Option<Box<List>> {
        // Relaxed: a guess, which the exchange verifies; who finds it closed waits for the state word, which tells the rest.
        let mut word = self.0.load(Relaxed);
        let mut backoff = Backoff::default();
        loop {
            match word.addr() {
                CLOSED => return None,
                LOCKED => {
                    backoff.spin();
                    word = self.0.load(Relaxed);
                    continue;
                }
                _ => {}
            }
            // Acquire: pairs with the Release in `unlock`, for the list's contents.
            match self.0.compare_exchange_weak(word, ptr::without_provenance_mut(LOCKED), Acquire, Relaxed) {
                Ok(_) => break,
                Err(seen) => word = seen,
            }
        }
        Some(match word.addr() {
            0 => Box::new(List { next: 1, ..List::default() }),
            addr if addr & TAGS == TASK => {
                // Token 0 is whoever was alone; the list takes over the word's reference.
                let alone = Waiter::Task(TaskRef::from_tagged(word.cast()));
                Box::new(List { entries: vec![(0, Some(alone))], live: 1, next: 1, memory: Memory::new() })
            }
            _ => {
                // SAFETY: without tags the word is a list that `unlock` boxed, and the exchange made it ours alone.
                let list = unsafe { Box::from_raw(word) };
                list.memory.is_written();
                list
            }
        })
    }

    /// Puts the list back, also if it is empty (`close` frees it, or `drop`).
    fn unlock(&self, list: Box<List>) {
        // Release: pairs with the Acquire in `lock` and `close`. Nobody else changes a locked word.
        self.0.store(Box::into_raw(list), Release);
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        // Only a task that never ran is freed without having ended, and nobody awaits that.
        drop(self.close());
    }
}

/// Who waited for a task that ends.
#[must_use]
pub(crate) struct Told(Waiting);

#[derive(Default)]
enum Waiting {
    #[default]
    Nobody,
    /// This task; owns a reference.
    Alone(TaskRef),
    List(Box<List>),
}

impl Told {
    /// Has those look at the output who want to know whether it is an `Err`.
    ///
    /// # Safety
    ///
    /// The output is stored, and nobody else can reach it yet.
    #[inline]
    pub(crate) unsafe fn judge(&mut self, task: TaskRef) {
        if let Waiting::List(list) = &mut self.0 {
            // SAFETY: as the caller says.
            unsafe { list.judge(task) };
        }
    }

    /// The task is complete: tells everybody, in the order in which they came.
    ///
    /// The runtime is alive for as long as this worker works for it, or its promise is held.
    #[inline]
    pub(crate) fn tell(mut self, runtime: *const Shared, with_value: bool) {
        match std::mem::take(&mut self.0) {
            Waiting::Nobody => {}
            Waiting::Alone(task) => task.wake(),
            Waiting::List(list) => {
                let runtime = scheduler::upgrade(runtime);
                list.waiters().for_each(|waiter| waiter.tell(&runtime, with_value));
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        match std::mem::take(&mut self.0) {
            Waiting::Nobody => {}
            Waiting::Alone(task) => task.drop_ref(),
            Waiting::List(list) => list.waiters().for_each(Waiter::release),
        }
    }
}

impl List {
    /// See [`Told::judge`].
    unsafe fn judge(&mut self, task: TaskRef) {
        for (_, waiter) in &mut self.entries {
            if let Some(Waiter::Observer(observing)) = waiter
                && let Some(is_err) = observing.is_err
            {
                // SAFETY: whoever registered it gave it the type of the output, which is there, says the caller.
                observing.failed = unsafe { is_err(task.stage::<()>()) };
            }
        }
    }

    /// Everybody, in the order in which they came.
    fn waiters(self) -> impl Iterator<Item = Waiter> {
        self.entries.into_iter().filter_map(|(_, waiter)| waiter)
    }

    fn push(&mut self, waiter: Waiter) -> u64 {
        let token = self.next;
        self.next += 1;
        self.live += 1;
        self.entries.push((token, Some(waiter)));
        token
    }

    fn replace(&mut self, token: u64, waiter: Waiter) -> Option<Waiter> {
        let at = self.entries.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        self.entries[at].1.replace(waiter)
    }

    fn remove(&mut self, token: u64) -> Option<Waiter> {
        let at = self.entries.binary_search_by_key(&token, |(token, _)| *token).ok()?;
        let waiter = self.entries[at].1.take()?;
        self.live -= 1;
        // Gaps are swept when they are the majority, so leaving costs constant time on average.
        if self.live * 2 < self.entries.len() {
            self.entries.retain(|(_, waiter)| waiter.is_some());
        }
        Some(waiter)
    }
}

impl Waiter {
    /// The end of the task is told; a panic in somebody's waker harms nobody else.
    fn tell(self, runtime: &Arc<Shared>, with_value: bool) {
        match self {
            Waiter::Task(task) => task.wake(),
            Waiter::Waker(waker) => quietly(|| waker.wake()),
            Waiter::Observer(Observing { observer, index, failed, .. }) => {
                tell_observer(runtime, observer, index, with_value && !failed);
            }
            Waiter::Callback(callback) => runtime.call_soon(Call::Run(callback)),
        }
    }

    /// Gives up without telling.
    fn release(self) {
        match self {
            Waiter::Task(task) => task.drop_ref(),
            Waiter::Waker(waker) => quietly(|| drop(waker)),
            Waiter::Callback(callback) => quietly(|| drop(callback)),
            Waiter::Observer(..) => {}
        }
    }
}

/// Tells an observer, in its flavour's way.
pub(crate) fn tell_observer(
    runtime: &Arc<Shared>,
    observer: Arc<dyn Observer>,
    index: usize,
    with_value: bool,
) {
    match runtime.flavor {
        Flavor::MultiThread => quietly(|| observer.ended(index, with_value)),
        Flavor::CurrentThread => runtime.call_soon(Call::Tell(observer, index, with_value)),
    }
}
