//! Which locks, permits and queues may go to other threads, with their guards and futures.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::MutexGuard;

use kumihimo::future::{
    Acquire, AcquireOwned, ConditionWait, EventWait, Get, Join, Put, TakeOwnedPermit, TakePermit,
};
use kumihimo::queue::{Fifo, Lifo, Priority};
use kumihimo::{
    Barrier, BoundedSemaphore, Condition, Event, LifoQueue, Lock, LockGuard, OwnedLockGuard, OwnedPermit,
    Permit, PriorityQueue, Queue, Semaphore,
};

fn assert_send<T: Send>() {}
fn assert_send_and_sync<T: Send + Sync + ?Sized>() {}
fn assert_static<T: 'static>() {}

/// Two ways to implement it for what is `Send`, so that nobody can say which is meant.
trait OneWayIfNotSend<Way> {
    fn check() {}
}
impl<T> OneWayIfNotSend<()> for T {}
impl<T: Send> OneWayIfNotSend<u8> for T {}

/// The same for what is `Sync`.
trait OneWayIfNotSync<Way> {
    fn check() {}
}
impl<T> OneWayIfNotSync<()> for T {}
impl<T: Sync> OneWayIfNotSync<u8> for T {}

/// What may go to other threads, but not be used by two at once.
type OnlySend = Cell<u32>;

fn main() {
    assert_send_and_sync::<Lock>();
    assert_send_and_sync::<Lock<OnlySend>>();
    assert_send_and_sync::<Lock<[OnlySend]>>();
    assert_send_and_sync::<Condition<OnlySend>>();
    assert_send_and_sync::<Event>();
    assert_send_and_sync::<Semaphore>();
    assert_send_and_sync::<BoundedSemaphore>();
    assert_send_and_sync::<Barrier>();
    assert_send_and_sync::<Queue<OnlySend>>();
    assert_send_and_sync::<LifoQueue<OnlySend>>();
    assert_send_and_sync::<PriorityQueue<OnlySend>>();

    // A guard is as its value is.
    assert_send::<LockGuard<'static, OnlySend>>();
    assert_send::<OwnedLockGuard<OnlySend>>();
    assert_send_and_sync::<LockGuard<'static, String>>();
    assert_send_and_sync::<OwnedLockGuard<String>>();
    assert_send_and_sync::<Permit<'static>>();
    assert_send_and_sync::<OwnedPermit>();
    assert_send_and_sync::<OwnedPermit<BoundedSemaphore>>();

    // So is what waits for it: it may move to another worker on the way.
    assert_send::<Acquire<'static, OnlySend>>();
    assert_send::<AcquireOwned<OnlySend>>();
    assert_send::<ConditionWait<'static, 'static, OnlySend>>();
    assert_send::<EventWait<'static>>();
    assert_send::<TakePermit<'static>>();
    assert_send::<TakeOwnedPermit<Semaphore>>();
    assert_send::<Put<'static, OnlySend, Fifo>>();
    assert_send::<Get<'static, OnlySend, Lifo>>();
    assert_send::<Join<'static, OnlySend, Priority>>();

    // What is put here is taken there: what must not go to other threads keeps its queue on this one.
    <Queue<Rc<u8>> as OneWayIfNotSend<_>>::check();
    <Queue<Rc<u8>> as OneWayIfNotSync<_>>::check();
    <Queue<MutexGuard<'static, u8>> as OneWayIfNotSync<_>>::check();
    <LifoQueue<Rc<u8>> as OneWayIfNotSend<_>>::check();
    <LifoQueue<Rc<u8>> as OneWayIfNotSync<_>>::check();
    <PriorityQueue<Rc<u8>> as OneWayIfNotSend<_>>::check();
    <PriorityQueue<Rc<u8>> as OneWayIfNotSync<_>>::check();
    <Put<'static, Rc<u8>, Fifo> as OneWayIfNotSend<_>>::check();
    <Get<'static, Rc<u8>, Lifo> as OneWayIfNotSend<_>>::check();
    <Join<'static, Rc<u8>, Priority> as OneWayIfNotSend<_>>::check();

    // Without arguments they may stand in a static.
    static LOCK: Lock<Vec<u8>> = Lock::with_value(Vec::new());
    static EVENT: Event = Event::new();
    static SEMAPHORE: Semaphore = Semaphore::new(3);
    static BOUNDED: BoundedSemaphore = BoundedSemaphore::new(3);
    assert!(!LOCK.locked() && !EVENT.is_set() && !SEMAPHORE.locked() && !BOUNDED.locked());
    assert_static::<OwnedLockGuard<u8>>();

    // On one thread anything may be in them.
    let local = Lock::with_value(Rc::new(1));
    assert_eq!(**local.try_acquire().unwrap(), 1);
    let queue = Queue::new(0);
    queue.put_nowait(Rc::new(2)).unwrap();
    assert_eq!(*queue.get_nowait().unwrap(), 2);
    let mutex = std::sync::Mutex::new(3);
    let guards: Queue<MutexGuard<'_, i32>> = Queue::new(0);
    guards.put_nowait(mutex.lock().unwrap()).unwrap();
    assert_eq!(*guards.get_nowait().unwrap(), 3);

    // A lock may be made unsized.
    let unsized_lock: Arc<Lock<[u8]>> = Arc::new(Lock::with_value([1, 2, 3]));
    assert_eq!(unsized_lock.try_acquire().unwrap().len(), 3);
    let any: Arc<Lock<dyn Send>> = Arc::new(Lock::with_value(4));
    assert!(any.try_acquire_owned().is_some());

    // A task may hold a guard across awaits, also of what is not `Sync`.
    kumihimo::run(async {
        let lock = Arc::new(Lock::with_value(Cell::new(5)));
        kumihimo::create_task(async move {
            let guard = lock.acquire().await;
            kumihimo::yield_now().await;
            guard.set(guard.get() + 1);
        })
        .await;
    });
}
