//! Who waits for the end of a task: one word, one FIFO order.
//!
//! Nearly every task is awaited by at most one task of ours, so the word holds just that task's address. A second
//! waiter, a waker of another executor or an observer moves everybody into a list, in the order in which they came.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | nobody waits |
//! | `task \| 2` | this task waits; the word owns a reference to it |
//! | `list` | a boxed list |
//! | 3 | somebody works on the list: spin |
//! | 1 | closed: the task is complete, and everybody was told |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::header::TaskRef;
use super::waker;
use crate::sync::atomic::{AtomicPtr, Ordering::*};
use crate::sync::spin_loop;

const CLOSED: usize = 1;
const LOCKED: usize = 3;
const TASK: usize = 2;
const TAGS: usize = 3;

/// Is told, on the worker that ran it, that a task has ended. Must be quick and must not panic.
pub trait Observer: Send + Sync {
    /// The task registered under this index has ended, with a value or not.
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
    Observer(Arc<dyn Observer>, usize),
}

/// Waiters in order of arrival. Tokens ascend, so a waiter is found by binary search; who left leaves a gap.
#[derive(Default)]
struct List {
    entries: Vec<(u64, Option<Waiter>)>,
    /// Entries that are not gaps.
    live: usize,
    /// The next token.
    next: u64,
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

    /// Registers the polling task, or confirms that it is. False if the task has ended: look at its output.
    #[inline]
    pub(crate) fn register(&self, registered: &mut Registered, cx: &Context<'_>) -> bool {
        let polling = waker::task_of(cx.waker());
        if let (Some(task), Registered::Alone(alone)) = (polling, *registered)
            && task == alone
        {
            // Acquire: pairs with `close`, whose caller stored the output before.
            let word = self.0.load(Acquire);
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
            match self.0.compare_exchange(ptr::null_mut(), word, AcqRel, Acquire) {
                Ok(_) => {
                    *registered = Registered::Alone(task);
                    return true;
                }
                Err(_) => task.drop_ref(),
            }
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

    /// Adds an observer. False if the task has ended already, and the observer will not be told.
    pub(crate) fn observe(
        &self,
        observer: Arc<dyn Observer>,
        index: usize,
        registered: &mut Registered,
    ) -> bool {
        self.update_list(registered, Waiter::Observer(observer, index))
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

    /// Forgets a waiter that gave up.
    #[inline]
    pub(crate) fn deregister(&self, registered: &mut Registered) {
        let token = match std::mem::take(registered) {
            Registered::No => return,
            Registered::Alone(task) => {
                let word = task.as_ptr().cast::<List>().map_addr(|addr| addr | TASK);
                // Acquire: the reference in the word is ours to drop. Failure: it was told, or moved into a list.
                match self.0.compare_exchange(word, ptr::null_mut(), AcqRel, Acquire) {
                    Ok(_) => return task.drop_ref(),
                    Err(_) => 0,
                }
            }
            Registered::Listed(token) => token,
        };
        if let Some(mut list) = self.lock() {
            let removed = list.remove(token);
            self.unlock(list);
            if let Some(waiter) = removed {
                waiter.release();
            }
        }
    }

    /// The task is complete: tells everybody, in the order in which they came.
    #[inline]
    pub(crate) fn close(&self, with_value: bool) {
        let mut word = self.0.load(Acquire);
        loop {
            match word.addr() {
                CLOSED => return,
                LOCKED => {
                    spin_loop();
                    word = self.0.load(Acquire);
                    continue;
                }
                _ => {}
            }
            // Acquire: sees the waiters. Release: shows the output to those who find `CLOSED`.
            match self.0.compare_exchange_weak(word, ptr::without_provenance_mut(CLOSED), AcqRel, Acquire) {
                Ok(_) => break,
                Err(seen) => word = seen,
            }
        }
        match word.addr() {
            0 => {}
            addr if addr & TAGS == TASK => Waiter::Task(TaskRef::from_tagged(word.cast())).tell(with_value),
            _ => {
                // SAFETY: without tags the word is a list that `unlock` boxed, and the exchange made it ours alone.
                let list = unsafe { Box::from_raw(word) };
                list.entries
                    .into_iter()
                    .filter_map(|(_, waiter)| waiter)
                    .for_each(|waiter| waiter.tell(with_value));
            }
        }
    }

    /// Takes the list out, making one of what is there. `None` if closed.
    fn lock(&self) -> Option<Box<List>> {
        let mut word = self.0.load(Acquire);
        loop {
            match word.addr() {
                CLOSED => return None,
                LOCKED => {
                    spin_loop();
                    word = self.0.load(Acquire);
                    continue;
                }
                _ => {}
            }
            // Acquire: pairs with the Release in `unlock`, for the list's contents.
            match self.0.compare_exchange_weak(word, ptr::without_provenance_mut(LOCKED), AcqRel, Acquire) {
                Ok(_) => break,
                Err(seen) => word = seen,
            }
        }
        Some(match word.addr() {
            0 => Box::new(List { next: 1, ..List::default() }),
            addr if addr & TAGS == TASK => {
                // Token 0 is whoever was alone.
                let alone = Waiter::Task(TaskRef::from_tagged(word.cast()));
                Box::new(List { entries: vec![(0, Some(alone))], live: 1, next: 1 })
            }
            // SAFETY: without tags the word is a list that `unlock` boxed, and the exchange made it ours alone.
            _ => unsafe { Box::from_raw(word) },
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
        self.close(false);
    }
}

impl List {
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
    fn tell(self, with_value: bool) {
        match self {
            Waiter::Task(task) => task.wake(),
            Waiter::Waker(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
            Waiter::Observer(observer, index) => observer.ended(index, with_value),
        }
    }

    /// Gives up without telling.
    fn release(self) {
        match self {
            Waiter::Task(task) => task.drop_ref(),
            Waiter::Waker(waker) => drop(catch_unwind(AssertUnwindSafe(|| drop(waker)))),
            Waiter::Observer(..) => {}
        }
    }
}
