//! Locks, permits, events, conditions, barriers and queues in a round, whose users are cancelled, time out and are dropped.
//!
//! Some are the world's, and everybody uses them, threads included; what they count is compared when the loop is closed. Others
//! belong to a group of tasks that is there for them, and is waited for: a wake-up that is lost is one that the watchdog sees.

use std::collections::BTreeMap;

use asyncio::queue::Order;
use asyncio::{
    Barrier, BoundedSemaphore, Condition, Event, LifoQueue, Lock, PriorityQueue, Queue, QueueShutDown,
    Semaphore,
};

use super::*;

// ---- what everybody uses

const PERMITS: usize = 3;

/// What is shared by all tasks of a round.
pub(super) struct Primitives {
    lock: Arc<Lock<u64>>,
    /// How often it was acquired.
    acquired: AtomicU64,
    semaphore: Arc<Semaphore>,
    bounded: Arc<BoundedSemaphore>,
    /// Those who have a permit now, of the one and of the other.
    inside: [AtomicU64; 2],
    queue: Queue<Item>,
    ledger: Arc<Ledger>,
    event: Event,
}

impl Primitives {
    pub(super) fn new() -> Primitives {
        Primitives {
            lock: Arc::default(),
            acquired: AtomicU64::new(0),
            semaphore: Arc::new(Semaphore::new(PERMITS)),
            bounded: Arc::new(BoundedSemaphore::new(PERMITS)),
            inside: Default::default(),
            queue: Queue::new(4),
            ledger: Arc::default(),
            event: Event::new(),
        }
    }

    /// Compares what was counted. Nobody uses them any more.
    pub(super) fn check(&self) {
        let lock =
            self.lock.try_acquire().unwrap_or_else(|| panic!("left locked: {:?}", self.lock.statistics()));
        assert_eq!(*lock, self.acquired.load(SeqCst), "a lock was held by two at once");
        drop(lock);
        let (semaphore, bounded) = (self.semaphore.statistics(), self.bounded.statistics());
        for (value, waiting) in [(semaphore.value, semaphore.waiting), (bounded.value, bounded.waiting)] {
            assert_eq!((value, waiting), (PERMITS, 0), "permits were lost, or doubled");
        }
        assert!(self.bounded.release().is_err());
        assert_eq!(self.lock.statistics().waiting + self.event.statistics().waiting, 0);
        while let Ok(item) = self.queue.get_nowait() {
            item.take();
            self.queue.task_done().unwrap();
        }
        let statistics = self.queue.statistics();
        assert_eq!((statistics.getters, statistics.putters, statistics.unfinished), (0, 0, 0));
        self.ledger.check(true);
    }
}

// ---- items that are counted

/// What became of items.
#[derive(Debug, Default)]
struct Ledger {
    made: AtomicU64,
    /// Those of which `put` said so.
    put: AtomicU64,
    taken: AtomicU64,
    /// Those that were not taken: given back, or dropped with what should have put them.
    dropped: AtomicU64,
}

impl Ledger {
    /// Every item is dropped by now. What was put was taken, unless the queue was told to drop what is in it.
    fn check(&self, all_taken: bool) {
        let [made, put, taken, dropped] =
            [&self.made, &self.put, &self.taken, &self.dropped].map(|count| count.load(SeqCst));
        let is_taken = if all_taken { put == taken } else { put >= taken };
        assert!(is_taken && made == taken + dropped, "items were lost: {self:?}");
    }
}

/// An item, ordered by its number.
struct Item {
    producer: u64,
    number: u64,
    taken: bool,
    ledger: Arc<Ledger>,
}

impl Item {
    fn new(ledger: &Arc<Ledger>, producer: u64, number: u64) -> Item {
        ledger.made.fetch_add(1, SeqCst);
        Item { producer, number, taken: false, ledger: ledger.clone() }
    }

    /// It has come out of the queue.
    fn take(mut self) {
        assert!(!std::mem::replace(&mut self.taken, true));
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        let count = if self.taken { &self.ledger.taken } else { &self.ledger.dropped };
        count.fetch_add(1, SeqCst);
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Item) -> std::cmp::Ordering {
        (self.number, self.producer).cmp(&(other.number, other.producer))
    }
}

// ---- ways to give up

/// Awaits something, or gives it up: after a time, or as `select!` does. Who is patient also waits for as long as it takes.
async fn perhaps<F: Future>(
    world: &World,
    random: &mut Random,
    patient: bool,
    future: F,
) -> Option<F::Output> {
    let came = match random.below(if patient { 5 } else { 3 }) {
        0 => asyncio::wait_for(future, random.micros(400)).await.ok(),
        1 => {
            let mut future = Box::pin(future);
            let mut came = None;
            for _ in 0..=random.below(3) {
                came = poll_once(&mut future).await;
                if came.is_some() {
                    break;
                }
                asyncio::yield_now().await;
            }
            came
        }
        2 => {
            let (mut future, mut timer) = (Box::pin(future), Box::pin(asyncio::sleep(random.micros(300))));
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            })
            .await
        }
        _ => Some(future.await),
    };
    if came.is_none() {
        world.counters.add(|c| &c.given_up);
    }
    came
}

/// Something to do while one holds something: others run meanwhile, or not; it may fail.
async fn hold(random: &mut Random) {
    match random.below(12) {
        0 => asyncio::sleep(random.micros(100)).await,
        1..=4 => asyncio::yield_now().await,
        5 if random.chance(3) => panic_quietly(),
        _ => {}
    }
}

/// Tasks that are cancelled if who waits for them is gone.
#[derive(Default)]
struct Crew {
    tasks: Vec<Task<()>>,
    handles: Vec<TaskHandle>,
}

impl Crew {
    fn add(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        let task = asyncio::create_task(future);
        self.handles.push(task.handle());
        self.tasks.push(task);
    }

    fn cancel_one(&self, world: &World, random: &mut Random) {
        if !self.handles.is_empty() {
            world.counters.add(|c| &c.cancels);
            self.handles[random.below(self.handles.len() as u64) as usize].cancel();
        }
    }

    fn is_at_work(&self) -> bool {
        self.handles.iter().any(|task| !task.done())
    }

    async fn ended(mut self) {
        while let Some(task) = self.tasks.pop() {
            let _ = task.outcome().await;
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.handles.iter().for_each(|task| _ = task.cancel());
    }
}

// ---- one of the world's

/// Uses one of what is shared.
pub(super) async fn use_one(world: &Arc<World>, random: &mut Random) -> u64 {
    let all = &world.primitives;
    match random.below(9) {
        0 | 1 => {
            if let Some(mut guard) = perhaps(world, random, true, all.lock.acquire()).await {
                locked(world, &mut guard);
                hold(random).await;
            }
        }
        2 => {
            // Begun here, and ended elsewhere.
            let mut acquiring = Box::pin(all.lock.acquire_owned());
            let mut guard = poll_once(&mut acquiring).await;
            if guard.is_none() {
                let elsewhere = asyncio::create_task(acquiring);
                if random.chance(3) {
                    elsewhere.cancel();
                }
                guard = elsewhere.outcome().await.ok();
            }
            if let Some(guard) = &mut guard {
                locked(world, guard);
                hold(random).await;
            }
        }
        3 => {
            if let Some(_permit) = perhaps(world, random, true, all.semaphore.acquire()).await {
                let _inside = Inside::new(world, 0);
                hold(random).await;
            }
        }
        4 => {
            if let Some(permit) = perhaps(world, random, true, all.bounded.acquire_owned()).await {
                {
                    let _inside = Inside::new(world, 1);
                    asyncio::yield_now().await;
                }
                permit.forget();
                all.bounded.release().expect("one was forgotten");
            }
        }
        5 => in_a_thread(world, random).await,
        6 => {
            let item = Item::new(&all.ledger, 0, random.next());
            let mut put = std::pin::pin!(all.queue.put(item));
            match perhaps(world, random, false, put.as_mut()).await {
                Some(result) => {
                    result.unwrap();
                    all.ledger.put.fetch_add(1, SeqCst);
                }
                None if put.into_item().is_some() => {}
                None => unreachable!("it has not been put, and is not in hand"),
            }
        }
        7 => {
            if let Some(item) = perhaps(world, random, false, all.queue.get()).await {
                item.unwrap().take();
                all.queue.task_done().unwrap();
                world.counters.add(|c| &c.items);
            }
        }
        _ => {
            perhaps(world, random, false, all.event.wait()).await;
        }
    }
    24
}

/// Counts an acquisition, twice.
fn locked(world: &World, value: &mut u64) {
    world.primitives.acquired.fetch_add(1, SeqCst);
    *value += 1;
    world.counters.add(|c| &c.locks);
}

/// Somebody who has a permit.
struct Inside<'a>(&'a AtomicU64);

impl Inside<'_> {
    fn new(world: &World, which: usize) -> Inside<'_> {
        let count = &world.primitives.inside[which];
        assert!(count.fetch_add(1, SeqCst) < PERMITS as u64, "one permit too many");
        world.counters.add(|c| &c.permits);
        Inside(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// The same from a thread that may block: one of the loop's, as the loop has to run on.
async fn in_a_thread(world: &Arc<World>, random: &mut Random) {
    let (world, semaphore, time) = (world.clone(), random.chance(2), random.micros(50));
    asyncio::to_thread(move || {
        let all = &world.primitives;
        if semaphore {
            let _permit = all.semaphore.blocking_acquire();
            let _inside = Inside::new(&world, 0);
            thread::sleep(time);
        } else {
            locked(&world, &mut all.lock.blocking_acquire());
        }
    })
    .await;
}

/// What threads do that must not block: the loop may stand still.
pub(super) fn meddle_with(world: &World, random: &mut Random) {
    let all = &world.primitives;
    match random.below(6) {
        0 => all.event.set(),
        1 => all.event.clear(),
        2 => all.lock.try_acquire().into_iter().for_each(|mut guard| locked(world, &mut guard)),
        3 => {
            if let Some(_permit) = all.semaphore.try_acquire() {
                let _inside = Inside::new(world, 0);
                thread::yield_now();
            }
        }
        4 => {
            let item = Item::new(&all.ledger, 1, random.next());
            if all.queue.put_nowait(item).is_ok() {
                all.ledger.put.fetch_add(1, SeqCst);
            }
        }
        _ => {
            if let Ok(item) = all.queue.get_nowait() {
                item.take();
                all.queue.task_done().unwrap();
            }
            let _ = format!("{:?} {:?} {:?} {:?}", all.lock, all.semaphore, all.queue, all.event);
        }
    }
}

// ---- groups

/// A group of tasks with something of their own.
pub(super) async fn group(world: &Arc<World>, random: &mut Random) -> u64 {
    let maxsize = random.below(4) as usize;
    match random.below(6) {
        0 => event(world, random).await,
        1 => condition(world, random).await,
        2 => barrier(world, random).await,
        3 => queue(world, random, Queue::new(maxsize), true).await,
        4 => queue(world, random, (*LifoQueue::new(maxsize)).clone(), false).await,
        _ => queue(world, random, (*PriorityQueue::new(maxsize)).clone(), false).await,
    }
    25
}

/// Some wait, one sets.
async fn event(world: &Arc<World>, random: &mut Random) {
    let event = Arc::new(Event::new());
    let mut crew = Crew::default();
    // Sometimes more than are woken in one go.
    for _ in 0..if random.chance(10) { 300 } else { random.below(20) } {
        let (world, event, mut random) = (world.clone(), event.clone(), random.fork());
        crew.add(async move { _ = perhaps(&world, &mut random, true, event.wait()).await });
    }
    for _ in 0..random.below(4) {
        asyncio::yield_now().await;
        crew.cancel_one(world, random);
    }
    event.set();
    if random.chance(2) {
        event.clear();
        // Who comes after that waits for another time.
        while crew.is_at_work() {
            asyncio::yield_now().await;
            event.set();
        }
    }
    crew.ended().await;
    assert_eq!(event.statistics().waiting, 0);
}

/// What a condition guards.
#[derive(Default)]
struct Tokens {
    left: u64,
    taken: u64,
    closed: bool,
}

/// Some take tokens, one at a time; one puts them there, and says so for each.
async fn condition(world: &Arc<World>, random: &mut Random) {
    let condition = Arc::new(Condition::with_value(Tokens::default()));
    let mut crew = Crew::default();
    for _ in 0..1 + random.below(8) {
        let (world, condition, mut random) = (world.clone(), condition.clone(), random.fork());
        crew.add(async move {
            loop {
                let take = async {
                    let mut guard = condition.acquire().await;
                    let next = |tokens: &mut Tokens| (tokens.left > 0 || tokens.closed).then_some(());
                    condition.wait_until(&mut guard, next).await;
                    if guard.left == 0 {
                        return false;
                    }
                    guard.left -= 1;
                    guard.taken += 1;
                    world.counters.add(|c| &c.notified);
                    true
                };
                match perhaps(&world, &mut random, true, take).await {
                    Some(false) => break,
                    // For good: what it may have been told is another's.
                    None if random.chance(3) => break,
                    _ => {}
                }
            }
        });
    }
    let count = random.below(20);
    for _ in 0..count {
        {
            let mut guard = condition.acquire().await;
            guard.left += 1;
            condition.notify(1);
            // Who was told waits for the lock now, and may give that up.
            for _ in 0..random.below(6) {
                asyncio::yield_now().await;
            }
        }
        if random.chance(6) {
            crew.cancel_one(world, random);
        }
        if random.chance(2) {
            all_taken(&condition, &crew).await;
        }
    }
    all_taken(&condition, &crew).await;
    {
        let mut guard = condition.acquire().await;
        guard.closed = true;
        condition.notify_all();
    }
    crew.ended().await;
    let guard = condition.acquire().await;
    assert_eq!(guard.left + guard.taken, count);
    drop(guard);
    assert_eq!(condition.statistics().waiting, 0);
}

/// As long as there is somebody, all tokens are taken, without a further word.
async fn all_taken(condition: &Condition<Tokens>, crew: &Crew) {
    while crew.is_at_work() && condition.acquire().await.left > 0 {
        asyncio::yield_now().await;
    }
}

/// Some meet again and again, until the barrier is aborted.
async fn barrier(world: &Arc<World>, random: &mut Random) {
    let parties = 1 + random.below(5);
    let barrier = Arc::new(Barrier::new(parties as usize));
    let mut crew = Crew::default();
    for _ in 0..parties + random.below(5) {
        let (world, barrier, mut random) = (world.clone(), barrier.clone(), random.fork());
        crew.add(async move {
            loop {
                match perhaps(&world, &mut random, true, barrier.wait()).await {
                    Some(Err(_broken)) => break,
                    Some(Ok(number)) => {
                        assert!(number < barrier.parties());
                        world.counters.add(|c| &c.meetings);
                        // With one party there is nothing to wait for.
                        asyncio::yield_now().await;
                    }
                    None => {}
                }
            }
        });
    }
    for _ in 0..random.below(20) {
        asyncio::yield_now().await;
        match random.below(8) {
            0 => crew.cancel_one(world, random),
            1 => {
                perhaps(world, random, true, barrier.reset()).await;
            }
            _ => {}
        }
    }
    barrier.abort().await;
    crew.ended().await;
    assert!(barrier.broken() && barrier.n_waiting() == 0);
    // After all that it is as good as new.
    barrier.reset().await;
    let fresh = (0..parties).map(|_| {
        let barrier = barrier.clone();
        async move { barrier.wait().await.unwrap() as u64 }
    });
    let numbers = asyncio::gather(fresh.collect::<Vec<_>>()).await;
    assert_eq!(numbers.iter().sum::<u64>(), parties * (parties - 1) / 2);
}

/// Some put, some take; in order, where that is promised.
async fn queue<O>(world: &Arc<World>, random: &mut Random, queue: Queue<Item, O>, in_order: bool)
where
    O: Order<Item> + 'static,
    Queue<Item, O>: Send + Sync,
{
    let ledger = Arc::<Ledger>::default();
    let (mut producers, mut consumers) = (Crew::default(), Crew::default());
    for producer in 0..1 + random.below(4) {
        let (world, queue, ledger, mut random) =
            (world.clone(), queue.clone(), ledger.clone(), random.fork());
        producers.add(async move {
            for number in 0..random.below(20) {
                let mut item = Some(Item::new(&ledger, producer, number));
                // Given up, it is in hand, and put again.
                while let Some(again) = item.take() {
                    let mut put = std::pin::pin!(queue.put(again));
                    if let Some(result) = perhaps(&world, &mut random, true, put.as_mut()).await {
                        if result.is_err() {
                            return;
                        }
                        ledger.put.fetch_add(1, SeqCst);
                    }
                    item = put.into_item();
                }
            }
        });
    }
    let only_one = random.chance(3);
    for _ in 0..if only_one { 1 } else { 1 + random.below(4) } {
        let (world, queue, mut random) = (world.clone(), queue.clone(), random.fork());
        consumers.add(async move {
            let mut last = BTreeMap::new();
            loop {
                match perhaps(&world, &mut random, true, queue.get()).await {
                    Some(Ok(item)) => {
                        if in_order {
                            let before = last.insert(item.producer, item.number);
                            assert!(before.is_none_or(|before| before < item.number), "out of order");
                        }
                        item.take();
                        queue.task_done().unwrap();
                        world.counters.add(|c| &c.items);
                    }
                    Some(Err(QueueShutDown)) => break,
                    None => {}
                }
            }
        });
    }
    for _ in 0..random.below(6) {
        asyncio::yield_now().await;
        match random.below(4) {
            0 => producers.cancel_one(world, random),
            1 => consumers.cancel_one(world, random),
            _ => {}
        }
    }
    let cut_short = random.chance(5);
    if cut_short {
        queue.shutdown(true);
    }
    // If nobody is left who takes, the rest is for us.
    while producers.is_at_work() {
        if !consumers.is_at_work()
            && let Ok(item) = queue.get_nowait()
        {
            item.take();
            queue.task_done().unwrap();
        }
        asyncio::yield_now().await;
    }
    producers.ended().await;
    queue.shutdown(false);
    consumers.ended().await;
    while let Ok(item) = queue.get().await {
        item.take();
        queue.task_done().unwrap();
    }
    queue.join().await;
    ledger.check(!cut_short);
    let statistics = queue.statistics();
    assert_eq!((statistics.size, statistics.getters, statistics.putters, statistics.joiners), (0, 0, 0, 0));
}
