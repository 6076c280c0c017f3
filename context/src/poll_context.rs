//! The thread-local that lives during a poll, and the guards that open and close it.

use std::cell::Cell;
use std::ptr;
use std::task::Context;

use crate::cancelled::CancelMessage;
use crate::sync::local;
use crate::wait::WaitWord;

/// A budget that no poll exhausts.
pub const UNLIMITED: u32 = u32::MAX;

/// A cancellation is on its way to the leaf the task is suspended on.
pub(crate) const DELIVERING: u8 = 1;
/// A cancellation travels outwards, to the nearest scope.
pub(crate) const RAISING: u8 = 2;
/// A forward that had taken a request was dropped unfinished: the task is due the request again.
pub(crate) const REARMED: u8 = 4;
/// A scope is dropping what it wrapped: forwards in there must not re-arm.
pub(crate) const DISCARDING: u8 = 8;
/// A request went along the await link, past this task, to what it awaits.
pub(crate) const PASSED_ON: u8 = 16;
/// The task is to be polled again, without a wake-up through its state.
pub(crate) const AGAIN: u8 = 32;

/// The request that is being delivered came after the task had been woken by what it waited for.
pub(crate) const LATE: u8 = 64;

/// What is being raised answers a request to the task: who drops it unraised owes that request again.
pub(crate) const OWED: u8 = 128;

/// State of the poll in progress on this thread; all zero outside of one.
struct PollContext {
    /// The task being polled: an address that only its executor understands; null outside.
    task: Cell<*const ()>,
    /// `DELIVERING`, `RAISING`, `REARMED`, `DISCARDING`, `PASSED_ON`, `AGAIN`, `LATE`, `OWED`.
    flags: Cell<u8>,
    /// Operations the poll may still complete before leaves make it give way.
    budget: Cell<u32>,
    /// What has returned `Pending` in this poll so far.
    wait: Cell<WaitWord>,
    /// The leaf of this poll that was last told to give way, and how often in a row. Compared only, never followed.
    refused: Cell<(*const (), u32)>,
}

/// A leaf that is polled again so often, though it was told to give way, is in a `block_on` nested inside the poll.
const MAX_REFUSALS: u32 = 1000;

local! {
    static CONTEXT: PollContext = PollContext {
        task: Cell::new(ptr::null()),
        flags: Cell::new(0),
        budget: Cell::new(UNLIMITED),
        wait: Cell::new(WaitWord::NONE),
        refused: Cell::new((ptr::null(), 0)),
    }
}

local! {
    // Apart from the flags because it needs a destructor, which makes every access dearer; touched only while
    // something is being cancelled.
    static MESSAGE: Cell<CancelMessage> = Cell::new(None)
}

/// Opens the poll context of `task` on this thread, until the guard is dropped.
///
/// Contexts nest: what was open before is restored.
///
/// # Safety
///
/// `task` is a task of kumihimo's executor, which stays alive until the guard is dropped; guards are dropped in the
/// reverse of their order. The executor follows the address.
#[inline]
pub unsafe fn enter(task: *const (), budget: u32) -> PollGuard {
    CONTEXT.with(|context| {
        context.refused.set((ptr::null(), 0));
        PollGuard {
            task: context.task.replace(task),
            flags: context.flags.replace(0),
            budget: context.budget.replace(budget),
            wait: context.wait.replace(WaitWord::NONE),
        }
    })
}

/// Restores, when dropped, the context that was open before; panics included.
#[must_use = "the context closes when the guard is dropped"]
#[derive(Debug)]
pub struct PollGuard {
    task: *const (),
    flags: u8,
    budget: u32,
    wait: WaitWord,
}

/// What a poll that returned `Pending` left in the context.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// A cancellation reached the task's root: undelivered by any scope, or raised.
    pub cancelled: bool,
    /// A request that a dropped forward had taken is due again.
    pub rearmed: bool,
    /// The task gave way: it is to be polled again.
    pub again: bool,
    /// What the task is suspended on.
    pub wait: WaitWord,
}

impl PollGuard {
    /// Sets out to deliver a cancellation to the task in the poll that follows. `late`: it was requested after the task had been
    /// woken.
    #[cold]
    pub fn deliver(&self, message: CancelMessage, late: bool) {
        set_message(message);
        set_flags(flags() | DELIVERING | if late { LATE } else { 0 });
    }

    /// Says that a request went past this task, along its await link, to what it awaits.
    #[cold]
    pub fn passed_on(&self) {
        set_flags(flags() | PASSED_ON);
    }

    /// Whether a request is left that nobody answered, where the future has returned: a delivery that nobody took, or one
    /// that a dropped forward gave back.
    #[inline]
    pub fn undelivered(&self) -> bool {
        flags() & (DELIVERING | REARMED) != 0
    }

    /// The message of the cancellation that reached the task's root.
    #[cold]
    pub fn message(&self) -> CancelMessage {
        take_message()
    }

    /// What the poll left in the context.
    #[inline]
    pub fn ending(&self) -> Ending {
        CONTEXT.with(|context| {
            let flags = context.flags.get();
            Ending {
                cancelled: flags & (DELIVERING | RAISING) != 0,
                rearmed: flags & REARMED != 0,
                again: flags & AGAIN != 0,
                wait: context.wait.get(),
            }
        })
    }
}

impl Drop for PollGuard {
    #[inline]
    fn drop(&mut self) {
        CONTEXT.with(|context| {
            context.task.set(self.task);
            context.flags.set(self.flags);
            context.budget.set(self.budget);
            context.wait.set(self.wait);
        });
    }
}

/// The task being polled on this thread, as its executor gave it to [`enter`]; null outside of a poll.
#[inline]
pub fn current_task() -> *const () {
    CONTEXT.with(|context| context.task.get())
}

/// Polls a part of the task, and tells what that part is suspended on, besides noting it for the task.
#[inline]
pub fn noting<T>(poll: impl FnOnce() -> T) -> (T, WaitWord) {
    /// Adds what was noted before, also if the poll panics.
    struct Before(WaitWord);

    impl Drop for Before {
        #[inline]
        fn drop(&mut self) {
            CONTEXT.with(|context| match (self.0, context.wait.get()) {
                (before, WaitWord::NONE) => context.wait.set(before),
                (before, inside) => context.wait.set(before.and(inside)),
            });
        }
    }

    let before = Before(CONTEXT.with(|context| context.wait.replace(WaitWord::NONE)));
    let polled = poll();
    let inside = CONTEXT.with(|context| context.wait.get());
    drop(before);
    (polled, inside)
}

/// Runs something that may poll others, and keeps what is being delivered or raised here from them.
pub fn keeping_message<T>(run: impl FnOnce() -> T) -> T {
    /// Puts the message back, on panics too.
    struct Keep(CancelMessage);

    impl Drop for Keep {
        fn drop(&mut self) {
            set_message(self.0.take());
        }
    }

    let _keep = (flags() & (DELIVERING | RAISING) != 0).then(|| Keep(take_message()));
    run()
}

/// Whether a cancellation is being delivered to the task being polled.
#[inline]
pub fn delivering() -> bool {
    flags() & DELIVERING != 0
}

/// Has the polling task polled again, after others that are ready: what waking oneself does, for less.
#[inline]
pub fn poll_again(cx: &Context<'_>) {
    // A waker that stands for the task itself needs no wake-up: the executor looks at the flag. Any other (of a future
    // that polls others, say) has to hear of it.
    if is_own(cx) {
        set_flags(flags() | AGAIN);
    } else {
        cx.waker().wake_by_ref();
    }
}

/// Whether the waker is the polling task's own.
#[inline]
pub(crate) fn is_own(cx: &Context<'_>) -> bool {
    !cx.waker().data().is_null() && cx.waker().data() == current_task()
}

#[inline]
pub(crate) fn flags() -> u8 {
    CONTEXT.with(|context| context.flags.get())
}

#[inline]
pub(crate) fn flags_and_wait() -> (u8, WaitWord) {
    CONTEXT.with(|context| (context.flags.get(), context.wait.get()))
}

/// Forgets what was noted since the task waited for this.
pub(crate) fn set_wait(wait: WaitWord) {
    CONTEXT.with(|context| context.wait.set(wait));
}

#[inline]
pub(crate) fn set_flags(flags: u8) {
    CONTEXT.with(|context| context.flags.set(flags));
}

/// A leaf is about to give way: true if it must not, because who polls it can't.
///
/// A foreign `block_on` nested inside a poll would poll it for ever. There is nobody to give way to, so the budget is
/// lifted, and a delivery is put off to the task's next poll.
#[cold]
pub(crate) fn is_stuck(leaf: *const ()) -> bool {
    CONTEXT.with(|context| {
        let (last, times) = context.refused.get();
        let times = if last == leaf { times + 1 } else { 1 };
        context.refused.set((leaf, times));
        if times < MAX_REFUSALS {
            return false;
        }
        context.refused.set((ptr::null(), 0));
        context.budget.set(UNLIMITED);
        let flags = context.flags.get();
        if flags & DELIVERING != 0 {
            context.flags.set(flags & !DELIVERING | REARMED);
        }
        true
    })
}

/// Takes one operation from the budget; false if there is none left.
#[inline]
pub(crate) fn spend() -> bool {
    CONTEXT.with(|context| match context.budget.get() {
        0 => false,
        UNLIMITED => true,
        left => {
            context.budget.set(left - 1);
            true
        }
    })
}

/// Gives back what `spend` took for an operation that did nothing.
#[inline]
pub(crate) fn refund() {
    CONTEXT.with(|context| {
        let left = context.budget.get();
        if left != UNLIMITED {
            context.budget.set(left + 1);
        }
    });
}

#[inline]
pub(crate) fn note(wait: WaitWord) {
    CONTEXT.with(|context| context.wait.set(context.wait.get().and(wait)));
}

pub(crate) fn set_message(message: CancelMessage) {
    MESSAGE.with(|slot| slot.set(message));
}

pub(crate) fn take_message() -> CancelMessage {
    MESSAGE.with(Cell::take)
}
