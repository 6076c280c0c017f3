//! Random work for a while: spawning, waking, cancelling, dropping, sleeping, blocking, I/O, locks and queues, on loops of
//! every size.
//!
//! `KUMIHIMO_STRESS_SECONDS` says for how long (`cargo xtask stress 60` sets it), `KUMIHIMO_STRESS_SEED` repeats the
//! random choices of a run: each round prints its seed, and with a seed given there is one round only.
//!
//! Three things are watched. *No lost wake-up*: a watchdog ends the process, naming the tasks that are left, if nothing has
//! moved for a while, or a round does not end. *Nothing lost or doubled*: what locks, semaphores and queues count adds up
//! (`stress/primitives.rs`). *No leak*: a counting allocator, the open descriptors and the threads return to where they stood
//! when each round's loop is closed. The test is alone in its process, which that needs.
//!
//! This file is long because all that may happen in a round is to be seen in one place.

#[path = "stress/primitives.rs"]
mod primitives;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{pending, poll_fn};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use kumihimo::net::{TcpListener, TcpStream};
use kumihimo::{self as asyncio, EventLoop, Runner, SharedTask, Task, TaskError, TaskHandle};

// ---- what is counted

/// Counts what is allocated.
struct Counting;

static BLOCKS: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: memory comes from the system's allocator and goes back there.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Relaxed);
        BYTES.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holdings {
    blocks: i64,
    bytes: i64,
    descriptors: usize,
    threads: usize,
}

impl Holdings {
    fn now() -> Holdings {
        let count = |folder| std::fs::read_dir(folder).map_or(0, Iterator::count);
        let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
        Holdings { blocks: BLOCKS.load(SeqCst), bytes: BYTES.load(SeqCst), descriptors, threads }
    }

    /// Whether nothing stands above `before`.
    fn is_within(&self, before: &Holdings) -> bool {
        let Slack { blocks, bytes, descriptors } = SLACK;
        self.blocks <= before.blocks + blocks
            && self.bytes <= before.bytes + bytes
            && self.descriptors <= before.descriptors + descriptors
            && self.threads <= before.threads
    }
}

/// What may stay allocated after a round.
///
/// crossbeam-epoch frees what its collector has taken over in batches, when some thread next has a reason to: the
/// buffers of deques that have grown, and the list entries of threads that have ended. It is a bounded amount for the
/// whole process, and does not grow from round to round, which the comparison with the first rounds shows.
struct Slack {
    blocks: i64,
    bytes: i64,
    /// ThreadSanitizer starts a program that finds names for addresses, and talks to it through two pipes.
    descriptors: usize,
}

const SLACK: Slack =
    Slack { blocks: 50, bytes: 64 * 1024, descriptors: if cfg!(kumihimo_tsan) { 2 } else { 0 } };

/// Waits until what ends by itself has ended (threads are counted for a moment after they were joined).
fn settle(before: &Holdings) -> Holdings {
    let patience = Instant::now() + Duration::from_secs(5);
    loop {
        flush_epochs();
        let now = Holdings::now();
        if now.is_within(before) || Instant::now() > patience {
            return now;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Has crossbeam-epoch collect: a small loop that pushes, steals and ends.
fn flush_epochs() {
    let runner = Runner::builder().worker_threads(2).handle_sigint(false).build().unwrap();
    runner
        .run(async {
            let tasks: Vec<_> = (0..256).map(|_| asyncio::yield_now()).collect();
            asyncio::gather(tasks).await;
        })
        .unwrap();
}

// ---- random numbers

/// A small generator (splitmix64): the same choices for the same seed, without a dependency.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn fork(&mut self) -> Random {
        Random(self.next())
    }

    fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.below(most))
    }
}

// ---- what a round shares

/// What has been done so far, for the watchdog and the summary.
#[derive(Default)]
struct Counters {
    tasks: AtomicU64,
    wakes: AtomicU64,
    cancels: AtomicU64,
    sleeps: AtomicU64,
    jobs: AtomicU64,
    echoes: AtomicU64,
    blocks: AtomicU64,
    nested: AtomicU64,
    locks: AtomicU64,
    permits: AtomicU64,
    items: AtomicU64,
    notified: AtomicU64,
    meetings: AtomicU64,
    given_up: AtomicU64,
}

impl Counters {
    fn add(&self, counter: impl Fn(&Counters) -> &AtomicU64) {
        counter(self).fetch_add(1, Relaxed);
    }

    fn all(&self) -> [(&'static str, u64); 14] {
        [
            ("tasks", self.tasks.load(Relaxed)),
            ("wakes", self.wakes.load(Relaxed)),
            ("cancels", self.cancels.load(Relaxed)),
            ("sleeps", self.sleeps.load(Relaxed)),
            ("jobs", self.jobs.load(Relaxed)),
            ("echoes", self.echoes.load(Relaxed)),
            ("blocked polls", self.blocks.load(Relaxed)),
            ("nested loops", self.nested.load(Relaxed)),
            ("locks acquired", self.locks.load(Relaxed)),
            ("permits taken", self.permits.load(Relaxed)),
            ("items taken", self.items.load(Relaxed)),
            ("notifications heard", self.notified.load(Relaxed)),
            ("barriers passed", self.meetings.load(Relaxed)),
            ("waits given up", self.given_up.load(Relaxed)),
        ]
    }

    fn sum(&self) -> u64 {
        self.all().iter().map(|(_, count)| count).sum()
    }
}

/// One round's world.
struct World {
    counters: Arc<Counters>,
    /// Wakers that foreign threads wake: late, twice, and after the end of their tasks.
    wakers: Mutex<Vec<Waker>>,
    /// Tasks that foreign threads cancel.
    victims: Mutex<Vec<TaskHandle>>,
    /// The loop is about to close: foreign threads stop.
    over: AtomicBool,
    /// Where the echo server listens.
    echo: Mutex<Option<std::net::SocketAddr>>,
    /// What all tasks lock, and put things into.
    primitives: primitives::Primitives,
}

/// At most this many wakers and victims are kept.
const KEPT: usize = 256;

fn keep<T>(place: &Mutex<Vec<T>>, random: &mut Random, value: T) {
    let old = {
        let mut kept = place.lock().unwrap();
        if kept.len() < KEPT {
            kept.push(value);
            None
        } else {
            let at = random.below(KEPT as u64) as usize;
            Some(std::mem::replace(&mut kept[at], value))
        }
    };
    drop(old);
}

// ---- the work

/// A future that is ready once a foreign thread has woken it so many times.
fn foreign_wakes(world: Arc<World>, mut random: Random, times: u64) -> impl Future<Output = u64> + Send {
    /// Counts wake-ups and passes them on.
    struct Counted {
        inner: Mutex<Waker>,
        count: AtomicU64,
        world: Arc<World>,
    }
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.count.fetch_add(1, SeqCst);
            self.world.counters.add(|c| &c.wakes);
            let waker = self.inner.lock().unwrap().clone();
            waker.wake();
        }
    }
    let mut counted: Option<Arc<Counted>> = None;
    poll_fn(move |cx| {
        let new = || Counted {
            inner: Mutex::new(cx.waker().clone()),
            count: AtomicU64::new(0),
            world: world.clone(),
        };
        let counted = counted.get_or_insert_with(|| Arc::new(new()));
        let old = std::mem::replace(&mut *counted.inner.lock().unwrap(), cx.waker().clone());
        drop(old);
        // Once more than needed: late wake-ups must do no harm.
        let seen = counted.count.load(SeqCst);
        keep(&world.wakers, &mut random, Waker::from(counted.clone()));
        if seen >= times || world.over.load(SeqCst) { Poll::Ready(seen) } else { Poll::Pending }
    })
}

type Boxed = Pin<Box<dyn Future<Output = u64> + Send>>;

/// One random piece of work, which ends by itself.
fn work(world: Arc<World>, mut random: Random, depth: u32) -> Boxed {
    Box::pin(async move {
        world.counters.add(|c| &c.tasks);
        let kinds = if depth == 0 { 14 } else { 25 };
        match random.below(kinds) {
            0 => random.next(),
            1 => {
                for _ in 0..random.below(50) {
                    asyncio::yield_now().await;
                }
                1
            }
            2 => {
                let time = random.micros(2000);
                asyncio::sleep(time).await;
                world.counters.add(|c| &c.sleeps);
                2
            }
            3 => sleeps(&world, &mut random).await,
            4 => {
                let time = random.micros(300);
                asyncio::to_thread(move || thread::sleep(time)).await;
                world.counters.add(|c| &c.jobs);
                3
            }
            5 => {
                // Dropped while it runs.
                let mut job = asyncio::to_thread(|| thread::sleep(Duration::from_micros(50)));
                let _ = poll_once(&mut job).await;
                4
            }
            6 | 7 => {
                let times = 1 + random.below(3);
                foreign_wakes(world.clone(), random.fork(), times).await
            }
            8 => {
                if random.chance(20) {
                    // A task that blocks its worker.
                    thread::sleep(random.micros(8000));
                    world.counters.add(|c| &c.blocks);
                }
                5
            }
            9 => {
                if random.chance(4) {
                    panic_quietly();
                }
                6
            }
            10 => {
                echo(&world, &mut random).await;
                7
            }
            11..=13 => primitives::use_one(&world, &mut random).await,
            14 => children(&world, &mut random, depth).await,
            15 => cancelled_child(&world, &mut random, depth).await,
            16 => shared(&world, &mut random, depth).await,
            17 => gathered(&world, &mut random, depth).await,
            18 => shielded(&world, &mut random, depth).await,
            19 => caught(&world, &mut random, depth).await,
            20 => local(&world, &mut random).await,
            21 => moved(&world, &mut random, depth).await,
            22 | 23 => primitives::group(&world, &mut random).await,
            _ => {
                let child = asyncio::create_task(work(world.clone(), random.fork(), depth - 1));
                keep(&world.victims, &mut random, child.handle());
                child.outcome().await.unwrap_or(8)
            }
        }
    })
}

fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("on purpose"))
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Sleeps that are dropped, moved and fired.
async fn sleeps(world: &World, random: &mut Random) -> u64 {
    let mut far = Box::pin(asyncio::sleep(Duration::from_secs(3600)));
    let mut near = Box::pin(asyncio::sleep(random.micros(500)));
    assert!(poll_once(&mut far).await.is_none());
    let _ = poll_once(&mut near).await;
    if random.chance(2) {
        far.as_mut().get_mut().reset(asyncio::Instant::now() + random.micros(500));
        far.await;
        world.counters.add(|c| &c.sleeps);
    }
    if random.chance(2) {
        drop(near);
    }
    asyncio::sleep(Duration::ZERO).await;
    9
}

async fn echo(world: &World, random: &mut Random) {
    let address = *world.echo.lock().unwrap();
    let Some(address) = address else { return };
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let sent: Vec<u8> = (0..random.below(4000)).map(|n| n as u8).collect();
    let mut received = vec![0; sent.len()];
    for _ in 0..random.below(4) {
        if stream.write_all(&sent).await.is_err() || stream.read_exact(&mut received).await.is_err() {
            // The server may have been cancelled.
            return;
        }
        assert_eq!(sent, received);
        world.counters.add(|c| &c.echoes);
    }
}

async fn serve(world: Arc<World>, mut random: Random) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    *world.echo.lock().unwrap() = Some(listener.local_addr().unwrap());
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let handler = asyncio::create_task(async move {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        });
        if random.chance(10) {
            keep(&world.victims, &mut random, handler.handle());
        }
    }
}

async fn children(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let tasks: Vec<Task<u64>> = (0..random.below(8))
        .map(|_| asyncio::create_task(work(world.clone(), random.fork(), depth - 1)))
        .collect();
    let mut sum = 0u64;
    for task in tasks {
        match random.below(4) {
            0 => drop(task),
            1 => {
                asyncio::yield_now().await;
                keep(&world.victims, random, task.handle());
                drop(task);
            }
            _ => sum = sum.wrapping_add(task.outcome().await.unwrap_or(0)),
        }
    }
    sum
}

async fn cancelled_child(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let task = asyncio::create_task(work(world.clone(), random.fork(), depth - 1));
    for _ in 0..random.below(4) {
        asyncio::yield_now().await;
    }
    for _ in 0..random.below(3) {
        world.counters.add(|c| &c.cancels);
        if random.chance(2) {
            task.cancel()
        } else {
            task.cancel_with("stress")
        };
        if random.chance(3) {
            task.uncancel();
        }
    }
    match task.outcome().await {
        Ok(value) => value,
        Err(TaskError::Cancelled(_)) => 10,
        Err(TaskError::Panicked(_)) => 11,
    }
}

async fn shared(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let task: SharedTask<u64> = asyncio::create_task(work(world.clone(), random.fork(), depth - 1)).shared();
    let awaiters: Vec<_> = (0..random.below(6))
        .map(|_| {
            let task = task.clone();
            let quick = random.chance(3);
            asyncio::create_task(async move {
                if quick {
                    asyncio::yield_now().await;
                }
                task.outcome().await.unwrap_or(12)
            })
        })
        .collect();
    let results = asyncio::gather(awaiters).outcomes().await;
    let end = task.outcome().await;
    // A request that went to one awaiter ends the shared task for all: so only values can be compared.
    if let Ok(value) = end {
        assert!(results.iter().flatten().all(|result| *result == value));
    }
    13
}

async fn gathered(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let one = work(world.clone(), random.fork(), depth - 1);
    let two = work(world.clone(), random.fork(), depth - 1);
    match random.below(3) {
        0 => {
            let (one, two) = asyncio::gather((one, two)).outcomes().await;
            one.unwrap_or(14).wrapping_add(two.unwrap_or(14))
        }
        1 => {
            let fails = random.chance(2);
            let both = asyncio::try_gather((async { Ok(one.await) }, async move {
                let value = two.await;
                if fails { Err(value) } else { Ok(value) }
            }));
            both.await.map_or(15, |(one, _)| one)
        }
        _ => {
            // Given up half-way.
            let mut both = Box::pin(async move { asyncio::gather((one, two)).outcomes().await });
            let _ = poll_once(&mut both).await;
            asyncio::yield_now().await;
            16
        }
    }
}

async fn shielded(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let inner = asyncio::create_task(work(world.clone(), random.fork(), depth - 1)).shared();
    let protected = inner.clone();
    let outer = asyncio::create_task(async move { asyncio::shield(protected).await });
    asyncio::yield_now().await;
    if random.chance(2) {
        world.counters.add(|c| &c.cancels);
        outer.cancel();
    }
    let _ = outer.outcome().await;
    inner.outcome().await.unwrap_or(17)
}

async fn caught(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let (first, second) = (random.fork(), random.fork());
    let (swallow, world_inside) = (random.chance(2), world.clone());
    let task = asyncio::create_task(async move {
        let world = world_inside;
        let first = work(world.clone(), first, depth - 1);
        let cleaned = Arc::new(AtomicBool::new(false));
        let flag = cleaned.clone();
        let inside = asyncio::finally(first, async move {
            // A second request may end it at its first await, but not before.
            flag.store(true, SeqCst);
            asyncio::yield_now().await;
        });
        match asyncio::catch_cancelled(inside).await {
            Ok(value) => value,
            Err(error) => {
                assert!(cleaned.load(SeqCst), "a clean-up did not run");
                let _ = asyncio::create_task(work(world, second, 0)).outcome().await;
                if swallow { 18 } else { error.raise().await }
            }
        }
    });
    for _ in 0..random.below(5) {
        asyncio::yield_now().await;
    }
    if random.chance(2) {
        world.counters.add(|c| &c.cancels);
        task.cancel();
    }
    task.outcome().await.unwrap_or(19)
}

/// Tasks that stay on one worker.
async fn local(world: &Arc<World>, random: &mut Random) -> u64 {
    let (spawn, world) = (random.fork(), world.clone());
    let outer = asyncio::create_task(async move {
        let mut random = spawn;
        let thread = thread::current().id();
        let locals: Vec<_> = {
            let shared = std::rc::Rc::new(std::cell::Cell::new(0));
            (0..3)
                .map(|n| {
                    let (shared, time) = (shared.clone(), random.micros(200));
                    let wakes = foreign_wakes(world.clone(), random.fork(), 1);
                    let victim = random.chance(3);
                    let task = asyncio::create_local_task(async move {
                        asyncio::sleep(time).await;
                        if n == 0 {
                            wakes.await;
                        }
                        shared.set(shared.get() + 1);
                        assert_eq!(thread::current().id(), thread, "a local task has moved");
                        n
                    });
                    if victim {
                        keep(&world.victims, &mut random, task.handle());
                    }
                    task
                })
                .collect()
        };
        let mut sum = 0;
        for task in locals {
            sum += task.outcome().await.unwrap_or(0);
        }
        sum
    });
    outer.outcome().await.unwrap_or(20)
}

/// A task that is polled here and awaited there.
async fn moved(world: &Arc<World>, random: &mut Random, depth: u32) -> u64 {
    let mut task = asyncio::create_task(work(world.clone(), random.fork(), depth - 1));
    if let Some(value) = poll_once(&mut task).await {
        return value;
    }
    if random.chance(2) {
        let elsewhere = asyncio::create_task(async move { task.outcome().await.unwrap_or(21) });
        elsewhere.outcome().await.unwrap_or(22)
    } else {
        task.outcome().await.unwrap_or(23)
    }
}

// ---- foreign threads

/// Wakes, cancels and spawns from outside, until the round is over.
fn meddle(world: Arc<World>, event_loop: EventLoop, mut random: Random) {
    let mut late: Vec<Waker> = Vec::new();
    while !world.over.load(SeqCst) {
        match random.below(10) {
            0 => {
                let task = event_loop.create_task(work(world.clone(), random.fork(), 2));
                if random.chance(3) {
                    task.cancel();
                }
            }
            1 => {
                let victim = {
                    let mut victims = world.victims.lock().unwrap();
                    if victims.is_empty() {
                        None
                    } else {
                        let at = random.below(victims.len() as u64) as usize;
                        Some(victims.swap_remove(at))
                    }
                };
                if let Some(victim) = victim {
                    world.counters.add(|c| &c.cancels);
                    victim.cancel();
                    if random.chance(4) {
                        victim.cancel_with("again");
                        victim.uncancel();
                    }
                }
            }
            2 if random.chance(50) => {
                // A storm.
                let victims = std::mem::take(&mut *world.victims.lock().unwrap());
                for victim in &victims {
                    world.counters.add(|c| &c.cancels);
                    victim.cancel();
                }
            }
            3 | 4 => primitives::meddle_with(&world, &mut random),
            _ => {
                let wakers = std::mem::take(&mut *world.wakers.lock().unwrap());
                if wakers.is_empty() {
                    thread::sleep(random.micros(100));
                }
                for waker in wakers {
                    if random.chance(3) {
                        waker.wake_by_ref();
                    }
                    if random.chance(8) && late.len() < KEPT {
                        late.push(waker.clone());
                    }
                    waker.wake();
                }
            }
        }
        if random.chance(30) {
            late.drain(..).for_each(Waker::wake);
        }
    }
    late.drain(..).for_each(Waker::wake);
}

// ---- rounds

/// Ends the process if nothing moves.
struct Watchdog {
    counters: Arc<Counters>,
    event_loop: Arc<Mutex<Option<EventLoop>>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Far longer than anything here takes, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

impl Watchdog {
    fn new(counters: Arc<Counters>, name: String, length: Duration) -> Watchdog {
        let event_loop: Arc<Mutex<Option<EventLoop>>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let (watched, on) = (counters.clone(), event_loop.clone());
        let thread = thread::spawn(move || {
            let (mut last, mut since) = (watched.sum(), Instant::now());
            // Others may move, also if one waits for ever.
            let end = since + length + 3 * PATIENCE;
            while stopped.recv_timeout(Duration::from_millis(200)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let now = watched.sum();
                if now != last {
                    (last, since) = (now, Instant::now());
                }
                if since.elapsed() > PATIENCE || Instant::now() > end {
                    dump(&name, &watched, on.lock().unwrap().as_ref());
                    std::process::abort();
                }
            }
        });
        Watchdog { counters, event_loop, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.event_loop.lock().unwrap() = None;
        self.stop = None;
        let _ = self.thread.take().unwrap().join();
    }
}

/// Says what is outstanding.
fn dump(name: &str, counters: &Counters, event_loop: Option<&EventLoop>) {
    // Not through `eprintln`, which the test harness keeps.
    let mut out = std::io::stderr();
    let _ = writeln!(out, "stress: nothing moves, or a round does not end, in {name}: a wake-up was lost");
    for (what, count) in counters.all() {
        let _ = writeln!(out, "  {what}: {count}");
    }
    let tasks = event_loop.map(EventLoop::all_tasks).unwrap_or_default();
    let _ = writeln!(out, "  {} tasks are left:", tasks.len());
    for task in tasks.iter().take(50) {
        let _ = writeln!(out, "    {task:?}, cancelling {}", task.cancelling());
    }
}

/// Which loop a round runs on.
#[derive(Clone, Copy, Debug)]
enum Size {
    CurrentThread,
    Workers(usize),
}

impl Size {
    fn runner(self) -> Runner {
        let builder = Runner::builder().handle_sigint(false).blocking_keep_alive(Duration::from_millis(20));
        let builder = match self {
            Size::CurrentThread => builder.current_thread(),
            Size::Workers(workers) => builder.worker_threads(workers),
        };
        builder.max_blocking_threads(4).build().unwrap()
    }
}

/// One round: a loop from its start to its end.
fn round(seed: u64, size: Size, length: Duration, counters: &Arc<Counters>) {
    let mut random = Random(seed);
    let watchdog = Watchdog::new(counters.clone(), format!("seed {seed}, {size:?}"), length);
    let world = Arc::new(World {
        counters: watchdog.counters.clone(),
        wakers: Mutex::default(),
        victims: Mutex::default(),
        over: AtomicBool::new(false),
        echo: Mutex::new(None),
        primitives: primitives::Primitives::new(),
    });
    let runner = size.runner();
    *watchdog.event_loop.lock().unwrap() = Some(runner.get_loop());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (world, event_loop, random) = (world.clone(), runner.get_loop(), random.fork());
            thread::spawn(move || meddle(world, event_loop, random))
        })
        .collect();
    let end = Instant::now() + length;
    let runs = 1 + random.below(3);
    for run in 1..=runs {
        let until = end - length / runs as u32 * (runs - run) as u32;
        let result = runner.run(main(world.clone(), random.fork(), until, run == 1));
        assert!(matches!(&result, Ok(()) | Err(TaskError::Cancelled(_))), "{result:?}");
    }
    if random.chance(2) {
        // A loop that is run in a thread of its own, meanwhile.
        let (counters, seed) = (counters.clone(), random.next());
        thread::spawn(move || nested(seed, &counters)).join().unwrap();
    }
    // Foreign threads go on for a moment while the loop pauses.
    thread::sleep(random.micros(1000));
    world.over.store(true, SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let late = std::mem::take(&mut *world.wakers.lock().unwrap());
    for waker in &late {
        waker.wake_by_ref();
    }
    let handles = runner.get_loop().all_tasks();
    runner.close();
    // After the end of the loop all is as if nothing had been asked.
    for waker in late.into_iter().chain(std::mem::take(&mut *world.wakers.lock().unwrap())) {
        waker.wake();
    }
    for handle in handles {
        assert!(handle.done() && !handle.cancel(), "{handle:?} was left");
    }
    world.primitives.check();
}

async fn main(world: Arc<World>, mut random: Random, until: Instant, first: bool) {
    if first {
        drop(asyncio::create_task(serve(world.clone(), random.fork())));
    }
    while Instant::now() < until {
        match random.below(6) {
            0 => {
                let seed = random.next();
                let counters = world.counters.clone();
                if random.chance(8) {
                    asyncio::to_thread(move || nested(seed, &counters)).await;
                }
            }
            1 => {
                // A task that only ends by being cancelled, perhaps not before the end of the loop.
                let task = asyncio::create_task(pending::<()>());
                if !random.chance(50) {
                    task.cancel();
                }
            }
            _ => {
                let tasks: Vec<_> = (0..random.below(64))
                    .map(|_| asyncio::create_task(work(world.clone(), random.fork(), 3)))
                    .collect();
                for task in tasks {
                    match random.below(8) {
                        0 => drop(task),
                        1 => keep(&world.victims, &mut random, task.handle()),
                        _ => drop(task.outcome().await),
                    }
                }
            }
        }
    }
}

/// A small loop of its own, on this thread.
fn nested(seed: u64, counters: &Arc<Counters>) {
    let mut random = Random(seed);
    let size =
        if random.chance(2) { Size::CurrentThread } else { Size::Workers(1 + random.below(3) as usize) };
    let world = Arc::new(World {
        counters: counters.clone(),
        wakers: Mutex::default(),
        victims: Mutex::default(),
        // Nobody wakes from outside here.
        over: AtomicBool::new(true),
        echo: Mutex::new(None),
        primitives: primitives::Primitives::new(),
    });
    let runner = size.runner();
    for _ in 0..2 {
        let tasks: Vec<_> = (0..10).map(|_| work(world.clone(), random.fork(), 2)).collect();
        let result = runner.run(async move { drop(asyncio::gather(tasks).outcomes().await) });
        assert!(result.is_ok(), "{result:?}");
    }
    runner.close();
    world.wakers.lock().unwrap().clear();
    world.primitives.check();
    counters.add(|c| &c.nested);
}

fn size(random: &mut Random) -> Size {
    match random.below(9) {
        0 => Size::CurrentThread,
        workers => Size::Workers(workers as usize),
    }
}

/// A task keeps its panics to itself, those of a failed assertion too. Those on purpose do not come by here.
fn fail_on_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A task that goes on though it was cancelled may find that the loop has no threads any more.
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.contains("the executor shutdown has been called")) {
            return;
        }
        report(panic);
        std::process::abort();
    }));
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

#[test]
fn random_work() {
    let seconds = number("KUMIHIMO_STRESS_SECONDS").unwrap_or(3);
    let replayed = number("KUMIHIMO_STRESS_SEED");
    let counters = Arc::new(Counters::default());
    fail_on_panics();
    // The first rounds fill what a process keeps for good: thread-local buffers of this thread, std's and crossbeam's.
    for warm_up in [Size::CurrentThread, Size::Workers(2), Size::Workers(8)] {
        round(1, warm_up, Duration::from_millis(150), &counters);
    }
    flush_epochs();
    let start = settle(&Holdings::now());
    println!("stress: {seconds} s; at the start {start:?}");
    let began = Instant::now();
    let mut seeds = Random(replayed.unwrap_or_else(|| {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |time| time.as_nanos() as u64)
    }));
    let mut rounds = 0;
    let mut most = start;
    while began.elapsed() < Duration::from_secs(seconds) && (replayed.is_none() || rounds == 0) {
        let seed = replayed.unwrap_or_else(|| seeds.next());
        let size = size(&mut Random(seed));
        let length = Duration::from_millis(200 + Random(seed ^ 1).below(600));
        round(seed, size, length, &counters);
        rounds += 1;
        let end = settle(&start);
        println!(
            "stress: seed {seed:20} {size:?}: {} blocks, {} bytes, {} descriptors, {} threads more",
            end.blocks - start.blocks,
            end.bytes - start.bytes,
            end.descriptors as i64 - start.descriptors as i64,
            end.threads as i64 - start.threads as i64
        );
        assert!(end.is_within(&start), "seed {seed}, {size:?}: {end:?} is left of {start:?}");
        most.blocks = most.blocks.max(end.blocks);
        most.bytes = most.bytes.max(end.bytes);
    }
    println!(
        "stress: {rounds} rounds in {:.1} s; left at most {} blocks and {} bytes more than at the start",
        began.elapsed().as_secs_f64(),
        most.blocks - start.blocks,
        most.bytes - start.bytes
    );
    for (what, count) in counters.all() {
        println!("stress: {count:10} {what}");
    }
}
