//! Runs the statements on locks, queues and the like, and keeps what they are about.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::exception::{Cause, Exception};
use super::interpreter::{Env, block};
use super::locks::{Barrier, Condition, Event, Futures, Lock, Semaphore, Waits};
use super::queues::{Queue, Refused};
use crate::coverage::Leaf;
use crate::outcome::{LOCKED, NOT_HELD, TOO_OFTEN, look_barrier, look_queue};
use crate::primitive::{
    Guarded, LockId, Number, Operation, bound_of, item_of, lock_of, maxsize_of, order_of, parties_of,
    value_of,
};
use crate::program::Block;

/// Those of a kind that were used.
struct Made<T>(RefCell<BTreeMap<Number, Rc<T>>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Made(RefCell::default())
    }
}

impl<T> Made<T> {
    fn get(&self, number: Number, make: impl FnOnce() -> T) -> Rc<T> {
        self.0.borrow_mut().entry(number).or_insert_with(|| Rc::new(make())).clone()
    }

    fn show(&self, name: &str, print: &dyn Fn(&str), look: impl Fn(&T) -> String) {
        for (number, one) in &*self.0.borrow() {
            print(&format!("{name} {number}: {}", look(one)));
        }
    }
}

pub(super) struct Primitives {
    futures: Futures,
    locks: Made<Lock>,
    events: Made<Event>,
    conditions: Made<Condition>,
    semaphores: Made<Semaphore>,
    bounded: Made<Semaphore>,
    barriers: Made<Barrier>,
    queues: Made<Queue>,
    /// How often conditions were advanced.
    levels: RefCell<BTreeMap<Number, usize>>,
}

impl Primitives {
    pub(super) fn new(futures: Futures) -> Primitives {
        Primitives {
            futures,
            locks: Made::default(),
            events: Made::default(),
            conditions: Made::default(),
            semaphores: Made::default(),
            bounded: Made::default(),
            barriers: Made::default(),
            queues: Made::default(),
            levels: RefCell::default(),
        }
    }

    fn lock(&self, number: Number) -> Rc<Lock> {
        self.locks.get(number, || Lock::new(&self.futures))
    }

    fn event(&self, number: Number) -> Rc<Event> {
        self.events.get(number, || Event::new(&self.futures))
    }

    fn condition(&self, number: Number) -> Rc<Condition> {
        let lock = || match lock_of(number) {
            LockId::OfCondition(_) => Rc::new(Lock::new(&self.futures)),
            LockId::Lock(lock) => self.lock(lock),
        };
        self.conditions.get(number, || Condition::new(&self.futures, lock()))
    }

    fn semaphore(&self, which: Guarded) -> Rc<Semaphore> {
        match which {
            Guarded::Semaphore(number) => {
                self.semaphores.get(number, || Semaphore::new(&self.futures, value_of(number)))
            }
            Guarded::BoundedSemaphore(number) => {
                self.bounded.get(number, || Semaphore::bounded(&self.futures, bound_of(number)))
            }
            _ => panic!("{which:?} is no semaphore"),
        }
    }

    fn barrier(&self, number: Number) -> Rc<Barrier> {
        self.barriers.get(number, || Barrier::new(&self.futures, parties_of(number)))
    }

    fn queue(&self, number: Number) -> Rc<Queue> {
        self.queues.get(number, || Queue::new(&self.futures, order_of(number), maxsize_of(number)))
    }

    fn level(&self, condition: Number) -> usize {
        self.levels.borrow().get(&condition).copied().unwrap_or_default()
    }

    /// The state of all of them.
    pub(super) fn show(&self, print: &dyn Fn(&str)) {
        let locked = |locked: bool| format!("locked={locked}");
        self.locks.show("lock", print, |lock| locked(lock.locked()));
        self.events.show("event", print, |event| format!("is_set={}", event.is_set()));
        self.conditions.show("condition", print, |condition| locked(condition.lock().locked()));
        self.semaphores.show("semaphore", print, |semaphore| locked(semaphore.locked()));
        self.bounded.show("bounded", print, |semaphore| locked(semaphore.locked()));
        self.barriers.show("barrier", print, look_at_barrier);
        self.queues.show("queue", print, look_at_queue);
    }

    /// They hold who waits on them.
    pub(super) fn clear(&self) {
        self.locks.0.borrow_mut().clear();
        self.events.0.borrow_mut().clear();
        self.conditions.0.borrow_mut().clear();
        self.semaphores.0.borrow_mut().clear();
        self.bounded.0.borrow_mut().clear();
        self.barriers.0.borrow_mut().clear();
        self.queues.0.borrow_mut().clear();
    }
}

fn look_at_barrier(barrier: &Barrier) -> String {
    look_barrier(barrier.parties(), barrier.n_waiting(), barrier.broken())
}

fn look_at_queue(queue: &Queue) -> String {
    look_queue(queue.qsize(), queue.empty(), queue.full())
}

/// `async with`
pub(super) async fn with(
    env: &Env,
    number: usize,
    guarded: Guarded,
    body: &Block,
) -> Result<String, Exception> {
    let primitives = &env.world.primitives;
    let mut inside = env.clone();
    inside.held.extend(guarded.lock());
    match guarded {
        Guarded::Lock(_) | Guarded::Condition(_) => {
            let lock = match guarded {
                Guarded::Condition(condition) => primitives.condition(condition).lock().clone(),
                Guarded::Lock(lock) => primitives.lock(lock),
                _ => unreachable!("one of the two"),
            };
            env.leaf(Leaf::Lock, lock.acquire()).await?;
            env.log(number, "entered");
            let result = block(&inside, body).await;
            lock.release();
            result?;
        }
        Guarded::Semaphore(_) | Guarded::BoundedSemaphore(_) => {
            let semaphore = primitives.semaphore(guarded);
            env.leaf(Leaf::Semaphore, semaphore.acquire()).await?;
            env.log(number, "entered");
            let result = block(&inside, body).await;
            // DIFFERS: a guard has nobody to raise an error to.
            let _ = semaphore.release();
            result?;
        }
        Guarded::Barrier(barrier) => {
            let index = env.leaf(Leaf::Barrier, primitives.barrier(barrier).wait()).await?;
            env.log(number, &format!("entered {index}"));
            block(&inside, body).await?;
        }
    }
    Ok("ok".into())
}

/// Runs a statement; gives what it logs.
pub(super) async fn operate(env: &Env, number: usize, operation: &Operation) -> Result<String, Exception> {
    let primitives = &env.world.primitives;
    Ok(match *operation {
        Operation::Locked(Guarded::Lock(lock)) => primitives.lock(lock).locked().to_string(),
        Operation::Locked(Guarded::Condition(condition)) => {
            primitives.condition(condition).lock().locked().to_string()
        }
        Operation::Locked(semaphore) => primitives.semaphore(semaphore).locked().to_string(),
        Operation::Take(semaphore) => {
            env.leaf(Leaf::Semaphore, primitives.semaphore(semaphore).acquire()).await?;
            "acquired".into()
        }
        Operation::TryTake(semaphore) => {
            let semaphore = primitives.semaphore(semaphore);
            if semaphore.locked() {
                return Ok(LOCKED.into());
            }
            semaphore.acquire().await?;
            "acquired".into()
        }
        Operation::Release(semaphore) => {
            let released = primitives.semaphore(semaphore).release();
            released.map_or(TOO_OFTEN, |()| "released").into()
        }
        Operation::WaitEvent(event) => {
            env.leaf(Leaf::Event, primitives.event(event).wait()).await?;
            "waited".into()
        }
        Operation::SetEvent(event) => {
            primitives.event(event).set();
            "set".into()
        }
        Operation::ClearEvent(event) => {
            primitives.event(event).clear();
            "cleared".into()
        }
        Operation::IsSet(event) => primitives.event(event).is_set().to_string(),
        Operation::WaitCondition(condition) => {
            if !env.holds(condition) {
                return Ok(NOT_HELD.into());
            }
            primitives.condition(condition).wait(&interrupted(env, Leaf::Condition)).await?;
            "notified".into()
        }
        Operation::WaitForLevel { condition, level } => {
            if !env.holds(condition) {
                return Ok(NOT_HELD.into());
            }
            let predicate = || primitives.level(condition) >= level;
            let interrupted = interrupted(env, Leaf::ConditionFor);
            primitives.condition(condition).wait_for(predicate, &interrupted).await?;
            format!("level {}", primitives.level(condition))
        }
        Operation::Notify { condition, count, advance } => {
            notify(primitives, condition, count, advance).into()
        }
        Operation::WaitBarrier(barrier) => {
            env.leaf(Leaf::Barrier, primitives.barrier(barrier).wait()).await?.to_string()
        }
        Operation::Abort(barrier) => {
            primitives.barrier(barrier).abort().await?;
            "aborted".into()
        }
        Operation::Reset(barrier) => {
            primitives.barrier(barrier).reset().await?;
            "reset".into()
        }
        Operation::LookBarrier(barrier) => look_at_barrier(&primitives.barrier(barrier)),
        Operation::Put(queue) => {
            env.leaf(Leaf::Put, primitives.queue(queue).put(item_of(number))).await?;
            "put".into()
        }
        Operation::PutNowait(queue) => {
            let put = primitives.queue(queue).put_nowait(item_of(number));
            put.map_or_else(Refused::show, |()| "put").into()
        }
        Operation::Get(queue) => env.leaf(Leaf::Get, primitives.queue(queue).get()).await?.to_string(),
        Operation::GetNowait(queue) => {
            let got = primitives.queue(queue).get_nowait();
            got.map_or_else(|refused| refused.show().into(), |item| item.to_string())
        }
        Operation::TaskDone(queue) => {
            let done = primitives.queue(queue).task_done();
            done.map_or(TOO_OFTEN, |()| "done").into()
        }
        Operation::Join(queue) => {
            env.leaf(Leaf::Join, primitives.queue(queue).join()).await?;
            "joined".into()
        }
        Operation::Shutdown { queue, immediate } => {
            primitives.queue(queue).shutdown(immediate);
            "shut down".into()
        }
        Operation::LookQueue(queue) => look_at_queue(&primitives.queue(queue)),
    })
}

fn notify(primitives: &Primitives, number: Number, count: Option<usize>, advance: bool) -> &'static str {
    let condition = primitives.condition(number);
    if !condition.lock().locked() {
        return NOT_HELD;
    }
    if advance {
        *primitives.levels.borrow_mut().entry(number).or_default() += 1;
    }
    match count {
        Some(count) => condition.notify(count),
        None => condition.notify_all(),
    }
    "notified"
}

/// Counts what hits a task in a condition.
fn interrupted(env: &Env, leaf: Leaf) -> impl Fn(Waits, Cause) {
    move |waits, cause| {
        let leaf = if waits == Waits::ForLock { Leaf::Reacquire } else { leaf };
        env.world.hit(env.scope, leaf, cause);
    }
}
