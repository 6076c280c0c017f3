//! Locks, events, conditions, semaphores, barriers and queues, as programs name them: by kind and number.
//!
//! They are made when they are first used, and what they are made with follows from the number, so that a program needs no
//! declarations and loses none when it is made smaller.

/// Tells primitives of a kind apart.
pub(crate) type Number = usize;

/// More of a kind than programs ever use.
pub(crate) const NUMBERS: Number = 100;

/// What can stand in `async with`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Guarded {
    Lock(Number),
    /// The lock of a condition.
    Condition(Number),
    Semaphore(Number),
    BoundedSemaphore(Number),
    Barrier(Number),
}

/// A lock, with a condition around it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockId {
    Lock(Number),
    /// The one that a condition made for itself.
    OfCondition(Number),
}

/// What is done with a primitive in one statement without a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// `locked()`. Not of a barrier.
    Locked(Guarded),
    /// `acquire()` of a semaphore, for good.
    Take(Guarded),
    /// The same, if it can be done at once.
    TryTake(Guarded),
    /// `release()` of a semaphore, by somebody who need not have acquired it.
    Release(Guarded),
    WaitEvent(Number),
    SetEvent(Number),
    ClearEvent(Number),
    IsSet(Number),
    /// Within a block that holds the condition's lock.
    WaitCondition(Number),
    /// `wait_for`: until the condition was advanced so often. Within a block that holds the condition's lock.
    WaitForLevel {
        condition: Number,
        level: usize,
    },
    /// `notify(count)`, or `notify_all()`, if somebody holds the lock. Advances the condition before, or doesn't.
    Notify {
        condition: Number,
        count: Option<usize>,
        advance: bool,
    },
    WaitBarrier(Number),
    Abort(Number),
    Reset(Number),
    /// Prints `parties`, `n_waiting` and `broken`.
    LookBarrier(Number),
    Put(Number),
    PutNowait(Number),
    Get(Number),
    GetNowait(Number),
    TaskDone(Number),
    Join(Number),
    Shutdown {
        queue: Number,
        immediate: bool,
    },
    /// Prints `qsize()`, `empty()` and `full()`.
    LookQueue(Number),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Fifo,
    Lifo,
    Priority,
}

/// How many conditions there are in a family: one has a lock of its own, the others share one.
const FAMILY: Number = 4;

/// The lock around which a condition is made.
pub(crate) fn lock_of(condition: Number) -> LockId {
    match condition % FAMILY {
        0 => LockId::OfCondition(condition),
        nth => LockId::Lock(condition - nth + 1),
    }
}

/// The conditions around a lock.
pub(crate) fn conditions_of(lock: LockId) -> Vec<Number> {
    match lock {
        LockId::OfCondition(condition) => vec![condition],
        LockId::Lock(number) => (number..number + FAMILY).filter(|nth| lock_of(*nth) == lock).collect(),
    }
}

/// What a semaphore begins with.
pub(crate) fn value_of(semaphore: Number) -> usize {
    semaphore % 3
}

/// A bounded one of none could never be acquired.
pub(crate) fn bound_of(semaphore: Number) -> usize {
    1 + semaphore % 2
}

pub(crate) fn parties_of(barrier: Number) -> usize {
    [2, 3, 2, 1, 4][barrier % 5]
}

/// How much a queue takes; zero: everything.
pub(crate) fn maxsize_of(queue: Number) -> usize {
    queue % 3
}

pub(crate) fn order_of(queue: Number) -> Order {
    match queue / 3 % 4 {
        0 | 1 => Order::Fifo,
        2 => Order::Lifo,
        _ => Order::Priority,
    }
}

/// What the statement with this number puts into a queue. Not in the order of the numbers.
pub(crate) fn item_of(statement: usize) -> usize {
    statement * 37 % 101
}

impl Guarded {
    /// The lock that is held within.
    pub(crate) fn lock(self) -> Option<LockId> {
        match self {
            Guarded::Lock(number) => Some(LockId::Lock(number)),
            Guarded::Condition(number) => Some(lock_of(number)),
            _ => None,
        }
    }

    /// The name of the block.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Guarded::Lock(_) => "with lock",
            Guarded::Condition(_) => "with condition",
            Guarded::Semaphore(_) => "with semaphore",
            Guarded::BoundedSemaphore(_) => "with bounded semaphore",
            Guarded::Barrier(_) => "with barrier",
        }
    }
}

impl Operation {
    /// Its name in the coverage table.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Operation::Locked(_) => "locked",
            Operation::Take(Guarded::BoundedSemaphore(_)) => "bounded.acquire",
            Operation::Take(_) => "semaphore.acquire",
            Operation::TryTake(_) => "semaphore.try_acquire",
            Operation::Release(Guarded::BoundedSemaphore(_)) => "bounded.release",
            Operation::Release(_) => "semaphore.release",
            Operation::WaitEvent(_) => "event.wait",
            Operation::SetEvent(_) => "event.set",
            Operation::ClearEvent(_) => "event.clear",
            Operation::IsSet(_) => "event.is_set",
            Operation::WaitCondition(_) => "condition.wait",
            Operation::WaitForLevel { .. } => "condition.wait_for",
            Operation::Notify { count: Some(_), .. } => "condition.notify",
            Operation::Notify { count: None, .. } => "condition.notify_all",
            Operation::WaitBarrier(_) => "barrier.wait",
            Operation::Abort(_) => "barrier.abort",
            Operation::Reset(_) => "barrier.reset",
            Operation::LookBarrier(_) => "barrier.n_waiting/broken",
            Operation::Put(_) => "queue.put",
            Operation::PutNowait(_) => "queue.put_nowait",
            Operation::Get(_) => "queue.get",
            Operation::GetNowait(_) => "queue.get_nowait",
            Operation::TaskDone(_) => "queue.task_done",
            Operation::Join(_) => "queue.join",
            Operation::Shutdown { immediate: false, .. } => "queue.shutdown",
            Operation::Shutdown { immediate: true, .. } => "queue.shutdown(immediate)",
            Operation::LookQueue(_) => "queue.qsize/empty/full",
        }
    }

    /// All names, those of blocks too.
    pub(crate) const NAMES: [&str; 32] = [
        "locked",
        "semaphore.acquire",
        "bounded.acquire",
        "semaphore.try_acquire",
        "semaphore.release",
        "bounded.release",
        "event.wait",
        "event.set",
        "event.clear",
        "event.is_set",
        "condition.wait",
        "condition.wait_for",
        "condition.notify",
        "condition.notify_all",
        "barrier.wait",
        "barrier.abort",
        "barrier.reset",
        "barrier.n_waiting/broken",
        "queue.put",
        "queue.put_nowait",
        "queue.get",
        "queue.get_nowait",
        "queue.task_done",
        "queue.join",
        "queue.shutdown",
        "queue.shutdown(immediate)",
        "queue.qsize/empty/full",
        "with lock",
        "with condition",
        "with semaphore",
        "with bounded semaphore",
        "with barrier",
    ];
}
