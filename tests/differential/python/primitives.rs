//! Statements on locks, queues and the like as Python source.

use std::fmt::Write as _;

use crate::outcome::NOT_HELD;
use crate::primitive::{
    Guarded, LockId, NUMBERS, Number, Operation, Order, bound_of, item_of, lock_of, maxsize_of, order_of,
    parties_of, value_of,
};

const PRIMITIVES: &str = include_str!("primitives.py");

/// The classes and functions that the statements use.
pub(super) fn prelude() -> String {
    let mut text = PRIMITIVES.to_string();
    let mut function = |name: &str, value: &dyn Fn(Number) -> String| {
        let values: Vec<String> = (0..NUMBERS).map(value).collect();
        writeln!(text, "def {name}(number):\n    return [{}][number]\n", values.join(", "))
            .expect("a string takes everything");
    };
    function("value_of", &|number| value_of(number).to_string());
    function("bound_of", &|number| bound_of(number).to_string());
    function("parties_of", &|number| parties_of(number).to_string());
    function("maxsize_of", &|number| maxsize_of(number).to_string());
    function("order_of", &|number| match order_of(number) {
        Order::Fifo => "asyncio.Queue".into(),
        Order::Lifo => "asyncio.LifoQueue".into(),
        Order::Priority => "asyncio.PriorityQueue".into(),
    });
    function("lock_of", &|number| match lock_of(number) {
        LockId::OfCondition(_) => "None".into(),
        LockId::Lock(lock) => lock.to_string(),
    });
    text
}

/// What stands after `async with`.
pub(super) fn guarded(guarded: Guarded) -> String {
    match guarded {
        Guarded::Lock(number) => format!("w.lock[{number}]"),
        Guarded::Condition(number) => format!("w.condition[{number}]"),
        Guarded::Semaphore(number) => format!("w.semaphore[{number}]"),
        Guarded::BoundedSemaphore(number) => format!("w.bounded[{number}]"),
        Guarded::Barrier(number) => format!("w.barrier[{number}]"),
    }
}

/// A statement, and what it logs; `held` are the locks of blocks around.
pub(super) fn operation(number: usize, operation: &Operation, held: &[LockId]) -> String {
    // An await that gives nothing to log, and what is logged instead.
    let awaited = |call: String, text: &str| format!("await {call}; log('{text}')");
    let done = |call: String, text: &str| format!("{call}; log('{text}')");
    let logged = match *operation {
        Operation::Locked(what) => format!("str({}.locked()).lower()", guarded(what)),
        Operation::Take(what) => return awaited(format!("{}.acquire()", guarded(what)), "acquired"),
        Operation::TryTake(what) => format!("await w.try_acquire({})", guarded(what)),
        Operation::Release(what) => format!("w.release({})", guarded(what)),
        Operation::WaitEvent(event) => return awaited(format!("w.event[{event}].wait()"), "waited"),
        Operation::SetEvent(event) => return done(format!("w.event[{event}].set()"), "set"),
        Operation::ClearEvent(event) => return done(format!("w.event[{event}].clear()"), "cleared"),
        Operation::IsSet(event) => format!("str(w.event[{event}].is_set()).lower()"),
        Operation::WaitCondition(condition) | Operation::WaitForLevel { condition, .. }
            if !held.contains(&lock_of(condition)) =>
        {
            format!("'{NOT_HELD}'")
        }
        Operation::WaitCondition(condition) => {
            return awaited(format!("w.condition[{condition}].wait()"), "notified");
        }
        Operation::WaitForLevel { condition, level } => {
            format!("await w.wait_for_level({condition}, {level})")
        }
        Operation::Notify { condition, count, advance } => {
            let count = count.map_or("None".into(), |count| count.to_string());
            let advance = if advance { "True" } else { "False" };
            format!("w.notify({condition}, {count}, {advance})")
        }
        Operation::WaitBarrier(barrier) => format!("await w.barrier[{barrier}].wait()"),
        Operation::Abort(barrier) => return awaited(format!("w.barrier[{barrier}].abort()"), "aborted"),
        Operation::Reset(barrier) => return awaited(format!("w.barrier[{barrier}].reset()"), "reset"),
        Operation::LookBarrier(barrier) => format!("look_at_barrier(w.barrier[{barrier}])"),
        Operation::Put(queue) => {
            return awaited(format!("w.queue[{queue}].put({})", item_of(number)), "put");
        }
        Operation::PutNowait(queue) => format!("w.put_nowait(w.queue[{queue}], {})", item_of(number)),
        Operation::Get(queue) => format!("await w.queue[{queue}].get()"),
        Operation::GetNowait(queue) => format!("w.get_nowait(w.queue[{queue}])"),
        Operation::TaskDone(queue) => format!("w.task_done(w.queue[{queue}])"),
        Operation::Join(queue) => return awaited(format!("w.queue[{queue}].join()"), "joined"),
        Operation::Shutdown { queue, immediate } => {
            let how = if immediate { "immediate=True" } else { "" };
            return done(format!("w.queue[{queue}].shutdown({how})"), "shut down");
        }
        Operation::LookQueue(queue) => format!("look_at_queue(w.queue[{queue}])"),
    };
    format!("log({logged})")
}
