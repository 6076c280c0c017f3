//! Sequences of events that a scheduler may not survive: each test is one that a hostile, or careless, program could make.
//!
//! This file is long because it is a catalogue, in sections: awaiting, panics, the end of a loop, cancellation, time, blocking.

mod support;

use std::any::Any;
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use kumihimo::{self as asyncio, Runner, SharedTask, Task, TaskError};
use support::{Flavour, millis, panic_message, secs, within_patience};

/// Runs a test on every flavour, in real time.
fn in_real_time<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for flavour in Flavour::ALL {
        in_real_time_on(flavour, test());
    }
}

fn in_real_time_on<F: Future>(flavour: Flavour, test: F) -> F::Output {
    within_patience(flavour, || {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner.run(test).unwrap_or_else(|error| match error {
            TaskError::Panicked(panic) => panic.resume(),
            error => panic!("{error}, on {flavour}"),
        })
    })
}

/// What panics use here, so that the hook prints nothing.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("on purpose"))
}

/// Panics when it is dropped, unless that would be a panic in a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            quiet_panic();
        }
    }
}

/// Runs a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Polls a future once, as whoever awaits this.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_ready())).await
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Fills what was freed just now, so that a use after free is noticed.
fn churn() {
    drop((0..64).map(|n| vec![0xa5u8; 64 + n * 8]).collect::<Vec<_>>());
}

// ---- awaiting, from the wrong place

#[test]
fn a_task_is_moved_out_of_its_awaiter_which_ends_first() {
    in_real_time(async || {
        for forgotten in [false, true] {
            let (send, receive) = mpsc::channel::<()>();
            let mut inner = asyncio::create_task(asyncio::to_thread(move || receive.recv().is_err()));
            let kept = Arc::new(Mutex::new(None));
            let keep = kept.clone();
            asyncio::create_task(async move {
                assert!(!poll_once(&mut inner).await);
                *keep.lock().unwrap() = Some(inner);
            })
            .await;
            // The awaiter is gone, memory and all.
            churn();
            drop(send);
            asyncio::sleep(millis(2)).await;
            let kept = kept.lock().unwrap().take();
            if !forgotten {
                assert!(kept.unwrap().await);
            }
        }
    });
}

#[test]
fn a_task_is_dropped_elsewhere_than_where_it_was_awaited() {
    in_real_time(async || {
        for _ in 0..50 {
            let mut inner = asyncio::create_task(asyncio::sleep(Duration::from_micros(50)));
            let (send, receive) = mpsc::channel();
            let awaiter = asyncio::create_task(async move {
                poll_once(&mut inner).await;
                send.send(inner).unwrap();
            });
            let dropper = asyncio::to_thread(move || drop(receive.recv().unwrap()));
            awaiter.await;
            churn();
            dropper.await;
        }
    });
}

#[test]
fn a_thread_awaits_with_the_waker_of_a_task_that_is_gone() {
    in_real_time(async || {
        let (send, receive) = mpsc::channel::<()>();
        let mut inner = asyncio::create_task(asyncio::to_thread(move || receive.recv().is_err()));
        let waker = asyncio::create_task(poll_fn(|cx| Poll::Ready(cx.waker().clone()))).await;
        let inner = asyncio::to_thread(move || {
            assert!(Pin::new(&mut inner).poll(&mut Context::from_waker(&waker)).is_pending());
            drop(waker);
            inner
        })
        .await;
        churn();
        drop(send);
        asyncio::sleep(millis(2)).await;
        assert!(inner.await);
    });
}

#[test]
fn a_request_to_cancel_follows_no_link_to_what_is_gone() {
    in_real_time(async || {
        for end_first in [false, true] {
            let slot = Arc::new(Mutex::new(Some(asyncio::create_task(async {
                asyncio::sleep(millis(1)).await;
                vec![1u8; 100]
            }))));
            let shared = slot.clone();
            let awaiter = asyncio::create_task(poll_fn(move |cx| {
                if let Some(task) = shared.lock().unwrap().as_mut() {
                    let _ = Pin::new(task).poll(cx);
                }
                Poll::<()>::Pending
            }));
            asyncio::yield_now().await;
            asyncio::yield_now().await;
            let inner = slot.lock().unwrap().take().unwrap();
            if end_first {
                drop(inner.await);
            } else {
                inner.cancel();
                drop(inner);
                asyncio::sleep(millis(2)).await;
            }
            churn();
            // Nobody says what becomes of such an awaiter: only that nothing breaks.
            awaiter.cancel();
            for _ in 0..5 {
                asyncio::yield_now().await;
            }
            awaiter.cancel();
            assert!(awaiter.outcome().await.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_link_to_another_loops_task() {
    for flavour in Flavour::ALL {
        let (send, receive) = mpsc::channel::<Task<u32>>();
        let other = thread::spawn(move || {
            in_real_time_on(flavour, async move {
                for n in 0..20 {
                    send.send(asyncio::create_task(asyncio::sleep_with(Duration::from_micros(200), n)))
                        .unwrap();
                }
                asyncio::sleep(millis(50)).await;
            });
        });
        in_real_time_on(flavour, async move {
            for n in 0..20 {
                let mut theirs = receive.recv().unwrap();
                let awaiter = asyncio::create_task(async move {
                    let done = poll_once(&mut theirs).await;
                    if n % 2 == 0 || done {
                        drop(theirs);
                        return pending().await;
                    }
                    theirs.await;
                });
                asyncio::sleep(Duration::from_micros(100 * (n % 5))).await;
                churn();
                awaiter.cancel();
                let _ = awaiter.outcome().await;
            }
        });
        other.join().unwrap();
    }
}

#[test]
fn two_loops_await_and_cancel_each_others_tasks() {
    for flavour in Flavour::ALL {
        let (to_b, from_a) = mpsc::channel::<SharedTask<usize>>();
        let (to_a, from_b) = mpsc::channel::<SharedTask<usize>>();
        let side = move |to: mpsc::Sender<SharedTask<usize>>, from: mpsc::Receiver<SharedTask<usize>>| {
            in_real_time_on(flavour, async move {
                let mut own = Vec::new();
                for n in 0..100usize {
                    let task = asyncio::create_task(async move {
                        match n % 3 {
                            0 => asyncio::sleep(Duration::from_micros(n as u64)).await,
                            1 => asyncio::yield_now().await,
                            _ => pending().await,
                        }
                        n
                    })
                    .shared();
                    to.send(task.clone()).unwrap();
                    own.push(task);
                }
                for n in 0..100 {
                    let theirs = from.recv().unwrap();
                    if n % 3 == 2 {
                        theirs.cancel();
                        assert!(theirs.outcome().await.unwrap_err().is_cancelled());
                    } else {
                        assert_eq!(theirs.await, n);
                    }
                }
                for task in own {
                    let _ = task.outcome().await;
                }
            });
        };
        let other = thread::spawn(move || side(to_a, from_a));
        side(to_b, from_b);
        other.join().unwrap();
    }
}

#[test]
fn a_task_is_awaited_by_another_executor_and_by_tasks_at_once() {
    in_real_time(async || {
        for n in 0..20 {
            let task = asyncio::create_task(asyncio::sleep_with(Duration::from_micros(20 * n), n)).shared();
            let foreign = task.clone();
            let foreign = asyncio::to_thread(move || block_on(foreign));
            let ours = asyncio::create_task(task.clone());
            assert_eq!(asyncio::gather!(foreign, ours, task).await, (n, n, n));
        }
    });
}

#[test]
fn a_task_that_is_polled_again_after_its_end_panics() {
    in_real_time(async || {
        let mut task = asyncio::create_task(async { 1 });
        asyncio::sleep(millis(1)).await;
        assert!(poll_once(&mut task).await);
        let again = asyncio::create_task(async move { poll_once(&mut task).await }).outcome().await;
        assert!(again.unwrap_err().is_panic());
    });
}

// ---- panics in places where none is expected

#[test]
fn futures_whose_destructors_panic() {
    in_real_time(async || {
        // At the future's end, cancelled while it waits, cancelled before it began, and at the end of the loop.
        let ended = asyncio::create_task(async {
            let _bomb = Bomb;
        });
        assert!(ended.outcome().await.unwrap_err().is_panic());
        let waits = asyncio::create_task(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        let bomb = Bomb;
        let begins = asyncio::create_task(async move {
            let _bomb = &bomb;
            pending::<()>().await;
        });
        begins.cancel();
        asyncio::sleep(millis(1)).await;
        waits.cancel();
        assert!(waits.outcome().await.unwrap_err().is_panic());
        assert!(begins.outcome().await.unwrap_err().is_panic());
        drop(asyncio::create_task(async {
            let _bomb = Bomb;
            pending::<()>().await;
        }));
        asyncio::yield_now().await;
    });
}

#[test]
fn outputs_whose_destructors_panic() {
    in_real_time(async || {
        drop(asyncio::create_task(async { Bomb }));
        let kept = asyncio::create_task(async { Bomb });
        let cancels_itself = asyncio::create_task(async {
            asyncio::current_task().unwrap().cancel();
            Bomb
        });
        asyncio::sleep(millis(1)).await;
        drop(kept);
        assert!(cancels_itself.outcome().await.is_err());
    });
}

#[test]
fn a_panic_whose_payload_panics_when_dropped() {
    struct Payload(#[allow(dead_code)] Bomb);
    in_real_time(async || {
        // Dropped unseen by the worker, by an owner, and within other panics.
        drop(asyncio::create_task(async { resume_unwind(Box::new(Payload(Bomb))) }));
        let kept = asyncio::create_task(async { resume_unwind(Box::new(Payload(Bomb))) });
        asyncio::sleep(millis(1)).await;
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(kept)));
        // Here, in the owner's own code, a panic may arrive.
        drop(dropped);
        struct DropsWithPayload;
        impl Drop for DropsWithPayload {
            fn drop(&mut self) {
                resume_unwind(Box::new(Payload(Bomb)));
            }
        }
        drop(asyncio::create_task(async { DropsWithPayload }));
        asyncio::sleep(millis(1)).await;
    });
}

/// A waker that panics in the chosen operation.
struct Hostile {
    on_wake: bool,
    on_drop: bool,
}

impl Wake for Hostile {
    fn wake(self: Arc<Self>) {
        if self.on_wake {
            quiet_panic();
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if self.on_drop && !thread::panicking() {
            quiet_panic();
        }
    }
}

#[test]
fn wakers_that_panic_harm_neither_timers_nor_tasks_nor_jobs() {
    in_real_time(async || {
        for (on_wake, on_drop) in [(true, false), (false, true), (true, true)] {
            let poll_with = |future: Pin<&mut dyn Future<Output = ()>>| {
                let waker = Waker::from(Arc::new(Hostile { on_wake, on_drop }));
                let polled = future.poll(&mut Context::from_waker(&waker));
                drop(catch_unwind(AssertUnwindSafe(|| drop(waker))));
                assert!(polled.is_pending());
            };
            let mut sleep = Box::pin(asyncio::sleep(millis(1)));
            poll_with(sleep.as_mut());
            let mut job = Box::pin(asyncio::to_thread(|| thread::sleep(millis(1))));
            poll_with(job.as_mut());
            let mut task = Box::pin(asyncio::create_task(asyncio::sleep(millis(1))));
            poll_with(task.as_mut());
            let mut gathered = Box::pin(async { asyncio::gather!(asyncio::sleep(millis(1))).await.0 });
            poll_with(gathered.as_mut());
            let others = (0..10).map(|_| asyncio::sleep(millis(1))).collect::<Vec<_>>();
            asyncio::gather(others).await;
            asyncio::sleep(millis(5)).await;
            asyncio::to_thread(|| {}).await;
            // Whose wakers were not used up still has them: a destructor's panic then arrives here.
            for future in [sleep as Pin<Box<dyn Future<Output = ()>>>, job, task, gathered] {
                drop(catch_unwind(AssertUnwindSafe(|| drop(future))));
            }
        }
    });
}

// ---- the end of a loop

#[test]
fn destructors_that_spawn_while_the_loop_ends() {
    for flavour in Flavour::ALL {
        let ran = Arc::new(AtomicUsize::new(0));
        let spawns = |ran: &Arc<AtomicUsize>, depth: usize| {
            fn spawn(ran: Arc<AtomicUsize>, depth: usize) -> Box<dyn FnMut() + Send> {
                Box::new(move || {
                    ran.fetch_add(1, SeqCst);
                    if depth > 0 {
                        let next = OnDrop(spawn(ran.clone(), depth - 1));
                        let local = OnDrop(spawn(ran.clone(), depth - 1));
                        drop(asyncio::create_task(async move {
                            let _next = next;
                            pending::<()>().await;
                        }));
                        drop(asyncio::create_local_task(async move {
                            let _next = local;
                            pending::<()>().await;
                        }));
                        assert!(asyncio::current_task().is_some());
                        assert!(!asyncio::all_tasks().is_empty());
                    }
                })
            }
            OnDrop(spawn(ran.clone(), depth))
        };
        in_real_time_on(flavour, {
            let (one, two) = (spawns(&ran, 4), spawns(&ran, 4));
            async move {
                drop(asyncio::create_task(async move {
                    let _one = one;
                    pending::<()>().await;
                }));
                drop(asyncio::create_task(async move {
                    let _two = two;
                    asyncio::sleep(secs(3600)).await;
                }));
                asyncio::yield_now().await;
            }
        });
        assert_eq!(ran.load(SeqCst), 2 * 31, "on {flavour}");
    }
}

#[test]
fn a_closed_loop_takes_no_tasks_and_minds_no_wakes() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            let runner = flavour.builder_in_real_time().build().unwrap();
            let event_loop = runner.get_loop();
            let wakers = Arc::new(Mutex::new(Vec::new()));
            let keep = wakers.clone();
            let made = Arc::new(Mutex::new(None));
            let place = made.clone();
            runner
                .run(async move {
                    *place.lock().unwrap() = Some(asyncio::create_task(poll_fn(move |cx| {
                        keep.lock().unwrap().push(cx.waker().clone());
                        Poll::<()>::Pending
                    })));
                    asyncio::sleep(millis(1)).await;
                })
                .unwrap();
            let task = made.lock().unwrap().take().unwrap();
            runner.close();
            assert!(event_loop.is_closed() && !event_loop.is_running());
            for waker in wakers.lock().unwrap().iter() {
                waker.wake_by_ref();
            }
            let dropped = Arc::new(AtomicBool::new(false));
            let flag = dropped.clone();
            let guard = OnDrop(move || flag.store(true, SeqCst));
            let refused = panic_message(|| {
                drop(event_loop.create_task(async move { drop(guard) }));
            });
            assert!(refused.contains("closed"), "{refused}");
            assert!(dropped.load(SeqCst));
            assert!(event_loop.all_tasks().is_empty());
            assert!(!task.cancel() && task.cancelled());
            assert!(block_on(task.outcome()).unwrap_err().is_cancelled());
        });
    }
}

#[test]
fn close_waits_for_tasks_that_swallow_cancellation() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            let runner = flavour.builder_in_real_time().build().unwrap();
            let steps = Arc::new(AtomicUsize::new(0));
            let count = steps.clone();
            runner
                .run(async move {
                    drop(asyncio::create_task(async move {
                        for _ in 0..4 {
                            let _swallowed = asyncio::catch_cancelled(asyncio::sleep(millis(1))).await;
                            asyncio::current_task().unwrap().cancel();
                            count.fetch_add(1, SeqCst);
                        }
                        let _swallowed = asyncio::catch_cancelled(pending::<()>()).await;
                        count.fetch_add(10, SeqCst);
                    }));
                    asyncio::yield_now().await;
                })
                .unwrap();
            runner.close();
            assert_eq!(steps.load(SeqCst), 14, "on {flavour}");
        });
    }
}

#[test]
fn runners_that_never_run() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            drop(flavour.builder_in_real_time().build().unwrap());
            let runner = flavour.builder_in_real_time().build().unwrap();
            let event_loop = runner.get_loop();
            let task = event_loop.create_task(async { 1 });
            let from_elsewhere =
                thread::spawn(move || event_loop.create_task(pending::<()>())).join().unwrap();
            drop(runner);
            assert!(task.done() && from_elsewhere.cancelled());
        });
    }
}

#[test]
fn a_runner_is_made_and_dropped_inside_of_a_task() {
    in_real_time(async || {
        // It may be made and dropped here; only running is refused.
        let inside = asyncio::create_local_task(async {
            let runner = Runner::builder().worker_threads(2).build().unwrap();
            let refused = catch_unwind(AssertUnwindSafe(|| runner.run(async {}).is_ok()));
            assert!(refused.is_err());
            drop(runner);
            asyncio::sleep(millis(1)).await;
            assert!(asyncio::current_task().is_some());
            7
        });
        assert_eq!(inside.await, 7);
    });
}

#[test]
fn main_panics_with_tasks_left_that_borrow_nothing_of_it() {
    for flavour in Flavour::ALL {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let message = panic_message(|| {
            within_patience(flavour, || {
                let runner = flavour.builder_in_real_time().build().unwrap();
                let result = runner.run(async move {
                    for _ in 0..100 {
                        let count = count.clone();
                        drop(asyncio::create_task(async move {
                            let _guard = OnDrop(move || _ = count.fetch_add(1, SeqCst));
                            pending::<()>().await;
                        }));
                    }
                    asyncio::sleep(millis(1)).await;
                    quiet_panic();
                });
                match result {
                    Err(TaskError::Panicked(panic)) => panic.resume(),
                    other => panic!("{other:?}"),
                }
            });
        });
        assert_eq!(message, "on purpose");
        assert_eq!(ended.load(SeqCst), 100);
    }
}

#[test]
fn a_cancelled_main_that_borrows_the_stack() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            let runner = flavour.builder_in_real_time().build().unwrap();
            for _ in 0..20 {
                let mut data = vec![0u64; 1000];
                let dropped = Cell::new(false);
                let result = runner.run(async {
                    let _guard = OnDrop(|| dropped.set(true));
                    let this = asyncio::current_task().unwrap();
                    let canceller = asyncio::to_thread(move || {
                        thread::sleep(Duration::from_micros(100));
                        this.cancel()
                    });
                    let canceller = asyncio::create_task(canceller);
                    for n in 0.. {
                        data[n % 1000] += 1;
                        asyncio::yield_now().await;
                    }
                    canceller.await
                });
                assert!(result.unwrap_err().is_cancelled());
                assert!(dropped.get());
                data.push(1);
            }
        });
    }
}

#[test]
fn many_runtimes_one_after_the_other() {
    let rounds = if cfg!(debug_assertions) { 300 } else { 2000 };
    within_patience("many", || {
        let before = open_descriptors();
        for n in 0..rounds {
            let flavour = [Flavour::CurrentThread, Flavour::Workers(1), Flavour::Workers(3)][n % 3];
            let runner = flavour.builder_in_real_time().build().unwrap();
            let answer = runner
                .run(async { asyncio::create_task(asyncio::sleep_with(Duration::from_nanos(1), 42)).await });
            assert_eq!(answer.unwrap(), 42);
        }
        // Other tests of this process open some too.
        assert!(open_descriptors() < before + 200, "descriptors are left open");
    });
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

// ---- cancellation at bad moments

#[test]
fn cancelled_at_the_moment_of_completion() {
    in_real_time(async || {
        let rounds = if cfg!(debug_assertions) { 300 } else { 2000 };
        let (mut values, mut cancelled) = (0, 0);
        for n in 0..rounds {
            let task = asyncio::create_task(async move {
                for _ in 0..n % 4 {
                    asyncio::yield_now().await;
                }
                Box::new(n)
            });
            let handle = task.handle();
            let storm = asyncio::to_thread(move || {
                while handle.cancel() {
                    std::hint::spin_loop();
                }
            });
            let storm = asyncio::create_task(storm);
            match task.outcome().await {
                Ok(value) => {
                    assert_eq!(*value, n);
                    values += 1;
                }
                Err(error) => {
                    assert!(error.is_cancelled());
                    cancelled += 1;
                }
            }
            storm.await;
        }
        assert_eq!(values + cancelled, rounds);
    });
}

#[test]
fn a_storm_of_requests_from_many_threads() {
    in_real_time(async || {
        let depth = 50;
        fn chain(depth: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move {
                match depth {
                    0 => pending().await,
                    _ => asyncio::create_task(chain(depth - 1)).await,
                }
            })
        }
        let task = asyncio::create_task(chain(depth));
        asyncio::sleep(millis(1)).await;
        let handle = task.handle();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let handle = handle.clone();
                asyncio::to_thread(move || {
                    while handle.cancel() {
                        handle.uncancel();
                        thread::yield_now();
                    }
                })
            })
            .collect();
        let threads = asyncio::create_task(async { drop(asyncio::gather(threads).await) });
        assert!(task.outcome().await.unwrap_err().is_cancelled());
        threads.await;
    });
}

// ---- time

#[test]
fn sleeps_of_no_length_and_of_every_length() {
    in_real_time(async || {
        for _ in 0..20_000 {
            asyncio::sleep(Duration::ZERO).await;
        }
        let longest = asyncio::create_task(asyncio::sleep(Duration::MAX));
        let now = asyncio::get_running_loop().time();
        let mut sleeps: Vec<_> = [0, 1, 63, 64, 4096, u64::MAX / 2, u64::MAX]
            .map(|nanos| Box::pin(asyncio::sleep(Duration::from_nanos(nanos))))
            .into_iter()
            .collect();
        for sleep in &mut sleeps {
            poll_once(sleep).await;
        }
        asyncio::sleep(millis(1)).await;
        for sleep in &mut sleeps[..5] {
            assert!(poll_once(sleep).await);
        }
        sleeps[6].reset(now);
        sleeps[6].as_mut().await;
        assert!(!poll_once(&mut sleeps[5]).await);
        let mut interval = asyncio::interval(Duration::MAX);
        interval.tick().await;
        longest.cancel();
        assert!(longest.outcome().await.is_err());
    });
}

// ---- code that blocks

#[test]
fn a_block_on_nested_in_a_task() {
    for flavour in [Flavour::Workers(2), Flavour::Workers(4)] {
        in_real_time_on(flavour, async {
            let nested = asyncio::create_task(async {
                for n in 0..50 {
                    block_on(asyncio::sleep(Duration::from_micros(n)));
                    let answer = block_on(asyncio::create_task(async move { n }));
                    assert_eq!(answer, n);
                    assert_eq!(block_on(asyncio::to_thread(move || n)), n);
                    asyncio::sleep(Duration::from_micros(1)).await;
                }
                asyncio::current_task().is_some()
            });
            assert!(nested.await);
        });
    }
}

#[test]
fn a_block_on_nested_in_a_task_may_go_on_for_long() {
    in_real_time(async || {
        let nested = asyncio::create_task(async {
            // More operations than a poll's budget: nobody can give way here.
            for _ in 0..1000 {
                block_on(asyncio::yield_now());
            }
        });
        nested.await;
    });
}

#[test]
fn a_block_on_in_a_destructor_of_a_task_that_is_cancelled() {
    for flavour in [Flavour::Workers(2), Flavour::Workers(4)] {
        in_real_time_on(flavour, async {
            let cleaned = Arc::new(AtomicBool::new(false));
            let flag = cleaned.clone();
            let task = asyncio::create_task(async move {
                let _clean_up = OnDrop(move || {
                    block_on(asyncio::sleep(millis(1)));
                    flag.store(true, SeqCst);
                });
                pending::<()>().await;
            });
            asyncio::sleep(millis(1)).await;
            task.cancel();
            assert!(task.outcome().await.is_err());
            assert!(cleaned.load(SeqCst));
        });
    }
}

#[test]
fn user_code_parks_and_unparks_its_threads() {
    for flavour in [Flavour::CurrentThread, Flavour::Workers(2), Flavour::Workers(4)] {
        in_real_time_on(flavour, async {
            for n in 0..50 {
                let parks = asyncio::create_task(async move {
                    let flag = Arc::new(AtomicBool::new(false));
                    let (thread, set) = (thread::current(), flag.clone());
                    let other = thread::spawn(move || {
                        thread::sleep(Duration::from_micros(n));
                        set.store(true, SeqCst);
                        thread.unpark();
                    });
                    while !flag.load(SeqCst) {
                        thread::park();
                    }
                    other.join().unwrap();
                    // A token left for whoever parks next on this thread.
                    thread::current().unpark();
                });
                let others: Vec<_> = (0..8).map(|_| asyncio::sleep(Duration::from_micros(n))).collect();
                asyncio::gather!(asyncio::gather(others), parks).await;
            }
        });
    }
}

#[test]
fn a_blocked_worker_keeps_neither_tasks_nor_timers_nor_sockets_waiting() {
    in_real_time_on(Flavour::Workers(2), async {
        let listener = asyncio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = asyncio::create_task(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).await.unwrap_or(0) == 1 {
                stream.write_all(&byte).await.unwrap();
            }
        });
        let round_trips = Arc::new(AtomicUsize::new(0));
        let count = round_trips.clone();
        let client = asyncio::create_task(async move {
            let mut stream = asyncio::net::TcpStream::connect(address).await.unwrap();
            let mut byte = [0];
            loop {
                stream.write_all(b"x").await.unwrap();
                stream.read_exact(&mut byte).await.unwrap();
                count.fetch_add(1, SeqCst);
            }
        });
        while round_trips.load(SeqCst) == 0 {
            asyncio::sleep(millis(1)).await;
        }
        for _ in 0..5 {
            let count = round_trips.clone();
            let blocks = asyncio::create_task(async move {
                let timer_fired = Arc::new(AtomicBool::new(false));
                let flag = timer_fired.clone();
                let mut timer = asyncio::create_task(async move {
                    asyncio::sleep(millis(2)).await;
                    flag.store(true, SeqCst);
                });
                // Lets the timer begin, perhaps on this very worker.
                asyncio::yield_now().await;
                poll_once(&mut timer).await;
                let slot_ran = Arc::new(AtomicBool::new(false));
                let flag = slot_ran.clone();
                // The last task made lies in this worker's slot.
                let in_slot = asyncio::create_task(async move { flag.store(true, SeqCst) });
                let before = count.load(SeqCst);
                // Blocks until all three have gone on without this worker; if one does not, the watchdog says so.
                while !(timer_fired.load(SeqCst) && slot_ran.load(SeqCst) && count.load(SeqCst) > before + 10)
                {
                    thread::sleep(millis(1));
                }
                asyncio::gather!(timer, in_slot).await;
            });
            blocks.await;
        }
        client.cancel();
        assert!(client.outcome().await.is_err());
        echo.await;
    });
}

#[test]
fn main_blocks_its_thread_while_others_go_on() {
    in_real_time_on(Flavour::Workers(2), async {
        let ticks = Arc::new(AtomicUsize::new(0));
        let count = ticks.clone();
        let ticking = asyncio::create_task(async move {
            loop {
                asyncio::sleep(Duration::from_micros(300)).await;
                count.fetch_add(1, SeqCst);
            }
        });
        asyncio::yield_now().await;
        while ticks.load(SeqCst) < 20 {
            thread::sleep(millis(1));
        }
        ticking.cancel();
        assert!(ticking.outcome().await.is_err());
    });
}

#[test]
fn panics_with_any_payload_reach_the_awaiter() {
    in_real_time(async || {
        let task = asyncio::create_task(async { resume_unwind(Box::new(17u8) as Box<dyn Any + Send>) });
        let end: Result<(), TaskError> = task.outcome().await;
        match end {
            Err(TaskError::Panicked(panic)) => {
                assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 17)
            }
            other => panic!("{other:?}"),
        }
        let caught = catch_unwind(|| panic_any(1));
        assert!(caught.is_err());
    });
}
