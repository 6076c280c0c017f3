//! Nothing is left behind: each scenario is run many times over, and what is allocated then may not have grown.
//!
//! A counting allocator sees the whole process, so there is one test here, and nothing runs beside it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use kumihimo::net::{TcpListener, TcpStream};
use kumihimo::{self as asyncio, Runner};

/// Counts the blocks that are allocated.
struct Counting;

static BLOCKS: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: memory comes from the system's allocator and goes back there.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Times that each scenario is repeated between two countings: one leaked block each time would show.
const TIMES: i64 = 500;

/// Buffers that have grown meanwhile, and what crossbeam-epoch keeps until some thread has a reason to collect.
const SLACK: i64 = 100;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Runs a scenario inside of one loop, over and over.
async fn repeat<F: Future>(name: &str, scenario: impl Fn() -> F) {
    let settled = async || {
        let patience = Instant::now() + Duration::from_secs(10);
        while asyncio::all_tasks().len() > 1 && Instant::now() < patience {
            asyncio::sleep(Duration::from_millis(1)).await;
        }
        // What is dropped elsewhere takes a moment.
        let (mut least, until) = (i64::MAX, Instant::now() + Duration::from_millis(30));
        while Instant::now() < until {
            asyncio::sleep(Duration::from_millis(2)).await;
            least = least.min(BLOCKS.load(SeqCst));
        }
        least
    };
    for _ in 0..TIMES {
        scenario().await;
    }
    let (blocks, files) = (settled().await, descriptors());
    for _ in 0..TIMES {
        scenario().await;
    }
    let grown = settled().await - blocks;
    println!("{name}: {grown} blocks more after {TIMES} times");
    assert!(grown < SLACK, "{name}: {TIMES} times have left {grown} blocks");
    assert!(descriptors() <= files, "{name}: descriptors were left open");
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_ready())).await
}

async fn scenarios() {
    repeat("tasks awaited, dropped, cancelled", async || {
        asyncio::create_task(async {}).await;
        drop(asyncio::create_task(asyncio::yield_now()));
        let waits = asyncio::create_task(pending::<()>());
        asyncio::yield_now().await;
        waits.cancel_with("a message");
        let _ = waits.outcome().await;
        let never_ran = asyncio::create_local_task(pending::<()>());
        never_ran.set_name("a name");
        never_ran.cancel();
    })
    .await;
    repeat("panics", async || {
        let panics = asyncio::create_task(async { std::panic::resume_unwind(Box::new(vec![1])) });
        let panics: asyncio::Task<()> = panics;
        let _ = panics.outcome().await;
        drop(asyncio::create_task(async { std::panic::resume_unwind(Box::new(vec![1])) }));
    })
    .await;
    repeat("outputs nobody takes", async || {
        drop(asyncio::create_task(async { vec![1] }));
        let kept = asyncio::create_task(async { vec![1] });
        let handle = kept.handle();
        handle.wait_end().await;
        drop(kept);
    })
    .await;
    repeat("shared tasks", async || {
        let task = asyncio::create_task(asyncio::sleep_with(Duration::from_nanos(1), vec![1])).shared();
        let awaiters = [(); 3].map(|()| asyncio::create_task(task.clone()));
        asyncio::gather(awaiters).await;
        assert!(task.done());
    })
    .await;
    repeat("gathers given up", async || {
        let mut gather = asyncio::gather((asyncio::yield_now(), pending::<()>()));
        poll_once(&mut gather).await;
        drop(gather);
        let this = asyncio::current_task().unwrap();
        for child in asyncio::all_tasks().iter().filter(|task| **task != this) {
            child.cancel();
        }
        let mut fails = asyncio::try_gather([async { Err::<(), _>(vec![1]) }]);
        poll_once(&mut fails).await;
    })
    .await;
    repeat("sleeps given up", async || {
        let mut sleep = asyncio::sleep(Duration::from_secs(3600));
        poll_once(&mut sleep).await;
        sleep.reset(asyncio::Instant::now() + Duration::from_secs(1));
        let mut task = asyncio::create_task(asyncio::sleep(Duration::MAX));
        poll_once(&mut task).await;
        task.cancel();
    })
    .await;
    repeat("jobs awaited and given up", async || {
        asyncio::to_thread(|| vec![1]).await;
        let mut job = asyncio::to_thread(|| vec![1]);
        poll_once(&mut job).await;
    })
    .await;
    repeat("scopes", async || {
        let task = asyncio::create_task(async {
            let inside = asyncio::finally(pending::<()>(), asyncio::yield_now());
            let _swallowed = asyncio::catch_cancelled(inside).await;
            asyncio::shield(asyncio::create_task(asyncio::yield_now())).await;
        });
        asyncio::yield_now().await;
        task.cancel();
        let _ = task.outcome().await;
    })
    .await;
    repeat("wakers that stay", async || {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let keep = wakers.clone();
        let task = asyncio::create_task(poll_fn(move |cx| {
            let mut kept = keep.lock().unwrap();
            kept.push(cx.waker().clone());
            if kept.len() > 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        while !task.done() {
            asyncio::yield_now().await;
            let waker = wakers.lock().unwrap().last().cloned();
            waker.iter().for_each(Waker::wake_by_ref);
        }
    })
    .await;
    repeat("tasks that change hands", async || {
        let mut task = asyncio::create_task(asyncio::sleep(Duration::from_micros(10)));
        if poll_once(&mut task).await {
            return;
        }
        asyncio::create_task(async move {
            if !poll_once(&mut task).await {
                asyncio::create_task(task).await;
            }
        })
        .await;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    repeat("connections", async || {
        let client = asyncio::create_task(TcpStream::connect(address));
        let (mut server, _) = listener.accept().await.unwrap();
        let client = client.await.unwrap();
        // One waits while its stream goes.
        let reads = asyncio::create_task(async move {
            let mut byte = [0];
            let _ = server.read(&mut byte).await;
        });
        asyncio::yield_now().await;
        reads.cancel();
        drop(client);
    })
    .await;
}

#[test]
fn nothing_is_left_behind() {
    for runner in [
        Runner::builder().current_thread(),
        Runner::builder().worker_threads(1),
        Runner::builder().worker_threads(3),
    ] {
        runner.build().unwrap().run(scenarios()).unwrap();
    }
    // Whole loops, with things left in them for their end to clear.
    let whole = |times: i64| {
        for n in 0..times {
            let builder = Runner::builder().blocking_keep_alive(Duration::from_millis(1));
            let builder = if n % 2 == 0 { builder.current_thread() } else { builder.worker_threads(2) };
            builder
                .build()
                .unwrap()
                .run(async {
                    drop(asyncio::create_task(pending::<()>()));
                    drop(asyncio::create_local_task(asyncio::sleep(Duration::from_secs(10))));
                    let task = asyncio::create_task(pending::<()>());
                    drop(asyncio::create_task(task));
                    drop(asyncio::create_task(asyncio::to_thread(|| {})));
                    asyncio::yield_now().await;
                })
                .unwrap();
        }
    };
    whole(100);
    let (blocks, files) = (BLOCKS.load(SeqCst), descriptors());
    whole(300);
    let grown = BLOCKS.load(SeqCst) - blocks;
    println!("whole loops: {grown} blocks more after 300 times");
    assert!(grown < SLACK, "300 loops have left {grown} blocks");
    assert!(descriptors() <= files);
}
