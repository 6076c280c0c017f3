//! Runs the statements on locks, queues and the like on kumihimo's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use kumihimo::{
    Barrier, BoundedSemaphore, Condition, Event, GetError, LifoQueue, Lock, LockGuard, Permit, PriorityQueue,
    PutError, Queue, Semaphore,
};

use super::{Env, block, lock};
use crate::outcome::{
    Error, LOCKED, NOT_HELD, QUEUE_EMPTY, QUEUE_FULL, QUEUE_SHUT_DOWN, TOO_OFTEN, look_barrier, look_queue,
};
use crate::primitive::{
    Guarded, LockId, NUMBERS, Number, Operation, Order, bound_of, conditions_of, item_of, lock_of,
    maxsize_of, order_of, parties_of, value_of,
};
use crate::program::Block;

/// Those of a kind that were used.
struct Made<T>(Vec<OnceLock<T>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Made((0..NUMBERS).map(|_| OnceLock::new()).collect())
    }
}

impl<T> Made<T> {
    fn get(&self, number: Number, make: impl FnOnce() -> T) -> &T {
        self.0[number].get_or_init(make)
    }

    fn show(&self, name: &str, print: &dyn Fn(&str), look: impl Fn(&T) -> String) {
        for (number, one) in self.0.iter().enumerate() {
            if let Some(one) = one.get() {
                print(&format!("{name} {number}: {}", look(one)));
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Primitives {
    locks: Made<Arc<Lock>>,
    events: Made<Event>,
    conditions: Made<Condition>,
    semaphores: Made<Arc<Semaphore>>,
    bounded: Made<Arc<BoundedSemaphore>>,
    barriers: Made<Barrier>,
    queues: Made<AnyQueue>,
    /// How often conditions were advanced.
    levels: Mutex<BTreeMap<Number, Arc<AtomicUsize>>>,
}

impl Primitives {
    fn lock(&self, number: Number) -> &Arc<Lock> {
        self.locks.get(number, || Arc::new(Lock::new()))
    }

    fn event(&self, number: Number) -> &Event {
        self.events.get(number, Event::new)
    }

    fn condition(&self, number: Number) -> &Condition {
        self.conditions.get(number, || match lock_of(number) {
            LockId::OfCondition(_) => Condition::new(),
            LockId::Lock(lock) => Condition::with_lock(self.lock(lock).clone()),
        })
    }

    fn semaphore(&self, number: Number) -> &Arc<Semaphore> {
        self.semaphores.get(number, || Arc::new(Semaphore::new(value_of(number))))
    }

    fn bounded(&self, number: Number) -> &Arc<BoundedSemaphore> {
        self.bounded.get(number, || Arc::new(BoundedSemaphore::new(bound_of(number))))
    }

    fn barrier(&self, number: Number) -> &Barrier {
        self.barriers.get(number, || Barrier::new(parties_of(number)))
    }

    fn queue(&self, number: Number) -> &AnyQueue {
        self.queues.get(number, || AnyQueue::new(order_of(number), maxsize_of(number)))
    }

    fn level(&self, condition: Number) -> Arc<AtomicUsize> {
        lock(&self.levels).entry(condition).or_default().clone()
    }

    /// The state of all of them.
    pub(super) fn show(&self, print: &dyn Fn(&str)) {
        let locked = |locked: bool| format!("locked={locked}");
        self.locks.show("lock", print, |lock| locked(lock.locked()));
        self.events.show("event", print, |event| format!("is_set={}", event.is_set()));
        self.conditions.show("condition", print, |condition| locked(condition.locked()));
        self.semaphores.show("semaphore", print, |semaphore| locked(semaphore.locked()));
        self.bounded.show("bounded", print, |semaphore| locked(semaphore.locked()));
        self.barriers.show("barrier", print, look_at_barrier);
        self.queues.show("queue", print, AnyQueue::look);
    }
}

fn look_at_barrier(barrier: &Barrier) -> String {
    look_barrier(barrier.parties(), barrier.n_waiting(), barrier.broken())
}

/// A queue of whatever order.
enum AnyQueue {
    Fifo(Queue<usize>),
    Lifo(LifoQueue<usize>),
    Priority(PriorityQueue<usize>),
}

/// The same for a queue of each order.
macro_rules! each {
    ($queue:expr, $one:ident => $do:expr) => {
        match $queue {
            AnyQueue::Fifo($one) => $do,
            AnyQueue::Lifo($one) => $do,
            AnyQueue::Priority($one) => $do,
        }
    };
}

impl AnyQueue {
    fn new(order: Order, maxsize: usize) -> AnyQueue {
        match order {
            Order::Fifo => AnyQueue::Fifo(Queue::new(maxsize)),
            Order::Lifo => AnyQueue::Lifo(LifoQueue::new(maxsize)),
            Order::Priority => AnyQueue::Priority(PriorityQueue::new(maxsize)),
        }
    }

    async fn put(&self, item: usize) -> Result<(), Error> {
        each!(self, queue => queue.put(item).await).map_err(|_| Error::QueueShutDown)
    }

    fn put_nowait(&self, item: usize) -> &'static str {
        match each!(self, queue => queue.put_nowait(item)) {
            Ok(()) => "put",
            Err(PutError::Full(_)) => QUEUE_FULL,
            Err(PutError::ShutDown(..)) => QUEUE_SHUT_DOWN,
        }
    }

    async fn get(&self) -> Result<usize, Error> {
        each!(self, queue => queue.get().await).map_err(|_| Error::QueueShutDown)
    }

    fn get_nowait(&self) -> String {
        match each!(self, queue => queue.get_nowait()) {
            Ok(item) => item.to_string(),
            Err(GetError::Empty(_)) => QUEUE_EMPTY.into(),
            Err(GetError::ShutDown(_)) => QUEUE_SHUT_DOWN.into(),
        }
    }

    fn task_done(&self) -> &'static str {
        each!(self, queue => queue.task_done()).map_or(TOO_OFTEN, |()| "done")
    }

    async fn join(&self) {
        each!(self, queue => queue.join().await);
    }

    fn shutdown(&self, immediate: bool) {
        each!(self, queue => queue.shutdown(immediate));
    }

    fn look(&self) -> String {
        each!(self, queue => look_queue(queue.qsize(), queue.empty(), queue.full()))
    }
}

/// A lock that a block holds. Empty while a condition waits with the guard.
pub(super) type Slot<'w> = Mutex<Option<LockGuard<'w>>>;

/// Takes the guard out of its slot, and puts it back on every way out.
struct Borrowed<'s, 'w> {
    slot: &'s Slot<'w>,
    guard: Option<LockGuard<'w>>,
}

impl<'s, 'w> Borrowed<'s, 'w> {
    /// `None`: no block around holds it.
    fn new(env: &'s Env<'w>, condition: Number) -> Option<Borrowed<'s, 'w>> {
        let (_, slot) = env.held.iter().find(|(held, _)| *held == lock_of(condition))?;
        Some(Borrowed { slot, guard: lock(slot).take() })
    }

    fn guard(&mut self) -> &mut LockGuard<'w> {
        self.guard.as_mut().expect("one wait at a time")
    }
}

impl Drop for Borrowed<'_, '_> {
    fn drop(&mut self) {
        *lock(self.slot) = self.guard.take();
    }
}

/// `async with`
pub(super) async fn with(
    env: &Env<'_>,
    number: usize,
    guarded: Guarded,
    body: &Block,
) -> Result<String, Error> {
    let primitives = &env.world.primitives;
    // Both ways to acquire are taken.
    let owned = number.is_multiple_of(2);
    match guarded {
        Guarded::Lock(one) if owned && conditions_of(LockId::Lock(one)).is_empty() => {
            let _guard = primitives.lock(one).acquire_owned().await;
            entered(env, number, body).await?;
        }
        Guarded::Lock(one) => {
            let guard = primitives.lock(one).acquire().await;
            holding(env, number, LockId::Lock(one), guard, body).await?;
        }
        Guarded::Condition(one) => {
            let guard = primitives.condition(one).acquire().await;
            holding(env, number, lock_of(one), guard, body).await?;
        }
        Guarded::Semaphore(one) if owned => {
            let _permit = primitives.semaphore(one).acquire_owned().await;
            entered(env, number, body).await?;
        }
        Guarded::Semaphore(one) => {
            let _permit = primitives.semaphore(one).acquire().await;
            entered(env, number, body).await?;
        }
        Guarded::BoundedSemaphore(one) if owned => {
            let _permit = primitives.bounded(one).acquire_owned().await;
            entered(env, number, body).await?;
        }
        Guarded::BoundedSemaphore(one) => {
            let _permit = primitives.bounded(one).acquire().await;
            entered(env, number, body).await?;
        }
        Guarded::Barrier(one) => {
            let index = primitives.barrier(one).wait().await.map_err(|_| Error::BrokenBarrier)?;
            env.log(number, &format!("entered {index}"));
            block(env, body).await?;
        }
    }
    Ok("ok".into())
}

async fn entered(env: &Env<'_>, number: usize, body: &Block) -> Result<(), Error> {
    env.log(number, "entered");
    block(env, body).await
}

async fn holding<'w>(
    env: &Env<'w>,
    number: usize,
    id: LockId,
    guard: LockGuard<'w>,
    body: &Block,
) -> Result<(), Error> {
    let mut inside = env.clone();
    inside.held.push((id, Arc::new(Mutex::new(Some(guard)))));
    entered(&inside, number, body).await
}

/// Runs a statement; gives what it logs.
pub(super) async fn operate(env: &Env<'_>, number: usize, operation: &Operation) -> Result<String, Error> {
    let primitives = &env.world.primitives;
    Ok(match *operation {
        Operation::Locked(Guarded::Lock(one)) => primitives.lock(one).locked().to_string(),
        Operation::Locked(Guarded::Condition(one)) => primitives.condition(one).locked().to_string(),
        Operation::Locked(Guarded::Semaphore(one)) => primitives.semaphore(one).locked().to_string(),
        Operation::Locked(Guarded::BoundedSemaphore(one)) => primitives.bounded(one).locked().to_string(),
        Operation::Take(Guarded::Semaphore(one)) => forget(primitives.semaphore(one).acquire().await).into(),
        Operation::Take(Guarded::BoundedSemaphore(one)) => {
            forget(primitives.bounded(one).acquire().await).into()
        }
        Operation::TryTake(Guarded::Semaphore(one)) => {
            let permit = primitives.semaphore(one).try_acquire();
            permit.map_or(LOCKED, forget).into()
        }
        Operation::TryTake(Guarded::BoundedSemaphore(one)) => {
            let permit = primitives.bounded(one).try_acquire();
            permit.map_or(LOCKED, forget).into()
        }
        Operation::Release(Guarded::Semaphore(one)) => {
            primitives.semaphore(one).release();
            "released".into()
        }
        Operation::Release(Guarded::BoundedSemaphore(one)) => {
            primitives.bounded(one).release().map_or(TOO_OFTEN, |()| "released").into()
        }
        Operation::Locked(other)
        | Operation::Take(other)
        | Operation::TryTake(other)
        | Operation::Release(other) => {
            unreachable!("{other:?} can't do that")
        }
        Operation::WaitEvent(one) => {
            primitives.event(one).wait().await;
            "waited".into()
        }
        Operation::SetEvent(one) => {
            primitives.event(one).set();
            "set".into()
        }
        Operation::ClearEvent(one) => {
            primitives.event(one).clear();
            "cleared".into()
        }
        Operation::IsSet(one) => primitives.event(one).is_set().to_string(),
        Operation::WaitCondition(one) => {
            let Some(mut borrowed) = Borrowed::new(env, one) else { return Ok(NOT_HELD.into()) };
            primitives.condition(one).wait(borrowed.guard()).await;
            "notified".into()
        }
        Operation::WaitForLevel { condition, level } => {
            let Some(borrowed) = Borrowed::new(env, condition) else { return Ok(NOT_HELD.into()) };
            let reached = wait_for_level(primitives, condition, level, borrowed, number).await;
            format!("level {reached}")
        }
        Operation::Notify { condition, count, advance } => {
            notify(primitives, condition, count, advance).into()
        }
        Operation::WaitBarrier(one) => {
            let index = primitives.barrier(one).wait().await.map_err(|_| Error::BrokenBarrier)?;
            index.to_string()
        }
        Operation::Abort(one) => {
            primitives.barrier(one).abort().await;
            "aborted".into()
        }
        Operation::Reset(one) => {
            primitives.barrier(one).reset().await;
            "reset".into()
        }
        Operation::LookBarrier(one) => look_at_barrier(primitives.barrier(one)),
        Operation::Put(one) => {
            primitives.queue(one).put(item_of(number)).await?;
            "put".into()
        }
        Operation::PutNowait(one) => primitives.queue(one).put_nowait(item_of(number)).into(),
        Operation::Get(one) => primitives.queue(one).get().await?.to_string(),
        Operation::GetNowait(one) => primitives.queue(one).get_nowait(),
        Operation::TaskDone(one) => primitives.queue(one).task_done().into(),
        Operation::Join(one) => {
            primitives.queue(one).join().await;
            "joined".into()
        }
        Operation::Shutdown { queue, immediate } => {
            primitives.queue(queue).shutdown(immediate);
            "shut down".into()
        }
        Operation::LookQueue(one) => primitives.queue(one).look(),
    })
}

fn forget(permit: Permit<'_>) -> &'static str {
    permit.forget();
    "acquired"
}

/// Both ways to wait until something holds, in turn.
async fn wait_for_level(
    primitives: &Primitives,
    condition: Number,
    level: usize,
    mut borrowed: Borrowed<'_, '_>,
    number: usize,
) -> usize {
    let reached = primitives.level(condition);
    let reached = || reached.load(Ordering::Relaxed);
    let condition = primitives.condition(condition);
    let guard = borrowed.guard();
    if number.is_multiple_of(2) {
        condition.wait_until(guard, |()| (reached() >= level).then(reached)).await
    } else {
        condition.wait_for(guard, || reached() >= level).await;
        reached()
    }
}

fn notify(primitives: &Primitives, number: Number, count: Option<usize>, advance: bool) -> &'static str {
    let condition = primitives.condition(number);
    if !condition.locked() {
        return NOT_HELD;
    }
    if advance {
        primitives.level(number).fetch_add(1, Ordering::Relaxed);
    }
    match count {
        Some(count) => condition.notify(count),
        None => condition.notify_all(),
    }
    "notified"
}
