//! The pool's rules: order, growth, panics, withdrawal, shutdown; and that nothing is lost under stress.

mod support;

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use kumihimo_blocking_pool::{DefaultExecutor, Job, JobError, ThreadPoolExecutor, current, enter, to_thread};
use support::{LONG, eventually, occupy};

fn pool(max_workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(max_workers)
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn jobs_begin_in_the_order_of_submission() {
    let pool = pool(1);
    let (first, go) = occupy(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let jobs: Vec<_> = (0..100)
        .map(|n| {
            let order = order.clone();
            pool.submit(move || order.lock().unwrap().push(n))
        })
        .collect();
    drop(go);
    block_on(first);
    jobs.into_iter().for_each(block_on);
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn jobs_run_in_parallel_up_to_the_maximum() {
    let pool = pool(4);
    let barrier = Arc::new(Barrier::new(4));
    let running = Arc::new(AtomicUsize::new(0));
    let peak = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..40)
        .map(|_| {
            let (barrier, running, peak) = (barrier.clone(), running.clone(), peak.clone());
            pool.submit(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                // Nobody passes before four are here at once.
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    jobs.into_iter().for_each(block_on);
    assert_eq!(peak.load(Ordering::SeqCst), 4);
    assert_eq!(pool.threads(), 4);
}

#[test]
fn an_idle_thread_is_used_before_one_is_started() {
    let pool = pool(8);
    assert_eq!(pool.threads(), 0);
    let mut ids = HashSet::new();
    for _ in 0..50 {
        ids.insert(block_on(pool.submit(|| thread::current().id())));
        // Until the thread has parked it is not idle.
        thread::sleep(Duration::from_millis(1));
    }
    assert!(ids.len() <= 2, "{} threads for one job at a time", ids.len());
}

#[test]
fn idle_threads_leave_and_new_ones_come() {
    let pool = ThreadPoolExecutor::builder().max_workers(3).keep_alive(Duration::from_millis(5)).build();
    for _ in 0..3 {
        let busy = [occupy(&pool), occupy(&pool), occupy(&pool)];
        assert_eq!(pool.threads(), 3);
        drop(busy);
        eventually("the threads leave", || pool.threads() == 0);
    }
}

#[test]
fn threads_have_the_name_and_stack_that_were_asked_for() {
    let pool = ThreadPoolExecutor::builder().thread_name("reader").stack_size(32 << 20).build();
    let name = block_on(pool.submit(|| {
        // Does not fit in the default 2 MiB.
        let big = std::hint::black_box([1_u8; 4 << 20]);
        assert_eq!(big[big.len() - 1], 1);
        thread::current().name().map(str::to_owned)
    }));
    assert_eq!(name.as_deref(), Some("reader-0"));
}

#[test]
fn a_panic_goes_on_at_the_await_and_spares_the_thread() {
    let pool = pool(1);
    let caught =
        catch_unwind(AssertUnwindSafe(|| block_on(pool.submit(|| -> () { panic!("no such file") }))));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"no such file"));

    let error =
        block_on(pool.submit(|| -> () { panic!("disk {}", thread::current().name().unwrap()) }).outcome())
            .unwrap_err();
    assert_eq!(error.to_string(), "the blocking job panicked: disk kumihimo-pool-0");
    assert!(matches!(error, JobError::Panicked(payload) if payload.is::<String>()));

    assert_eq!(block_on(pool.submit(|| 1)), 1);
    assert_eq!(pool.threads(), 1);
}

#[test]
fn panics_that_nobody_receives_spare_the_thread() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                std::panic::panic_any(Bomb2);
            }
        }
    }
    struct Bomb2;

    struct PanickingWaker;
    impl Wake for PanickingWaker {
        fn wake(self: Arc<Self>) {
            panic!("waker");
        }
    }

    let pool = pool(1);
    let (job, go) = occupy(&pool);
    // The result of a detached job panics when it is dropped, in the pool thread.
    let bomb = {
        let (began, begun) = channel();
        let (end, ended) = channel::<()>();
        drop((job, go));
        let bomb = pool.submit(move || {
            began.send(()).unwrap();
            let _ = ended.recv();
            Bomb
        });
        begun.recv_timeout(LONG).unwrap();
        drop(bomb);
        end
    };
    drop(bomb);

    let (mut job, go) = occupy(&pool);
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(pin!(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(go);
    block_on(job);
    assert_eq!(block_on(pool.submit(|| 1)), 1);
    assert_eq!(pool.threads(), 1);
}

#[test]
fn a_job_dropped_before_it_begins_never_runs() {
    let pool = pool(1);
    let (first, go) = occupy(&pool);
    let captured = Arc::new(());
    let held = captured.clone();
    let job = pool.submit(move || {
        let _held = held;
        unreachable!("withdrawn");
    });
    assert_eq!(Arc::strong_count(&captured), 2);
    drop(job);
    assert_eq!(Arc::strong_count(&captured), 1, "what it captured is dropped at once");
    drop(go);
    block_on(first);
    block_on(pool.shutdown(true, false));
}

#[test]
fn a_job_dropped_while_it_runs_ends_and_its_result_is_dropped() {
    let pool = pool(1);
    let result = Arc::new(());
    let (began, begun) = channel();
    let (end, ended) = channel::<()>();
    let ran = Arc::new(AtomicUsize::new(0));
    let mut job = pool.submit({
        let (result, ran) = (result.clone(), ran.clone());
        move || {
            began.send(()).unwrap();
            let _ = ended.recv();
            ran.fetch_add(1, Ordering::SeqCst);
            result
        }
    });
    begun.recv_timeout(LONG).unwrap();
    let wakes = Arc::new(CountWakes::default());
    let waker = Waker::from(wakes.clone());
    assert!(pin!(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    drop(job);
    assert_eq!(Arc::strong_count(&wakes), 1, "the waker is dropped with the handle");
    drop(end);
    block_on(pool.shutdown(true, false));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&result), 1);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_result_that_nobody_awaits_is_dropped_with_the_handle() {
    let pool = pool(1);
    let result = Arc::new(());
    let job = pool.submit({
        let result = result.clone();
        move || result
    });
    eventually("done", || job.done());
    assert_eq!(Arc::strong_count(&result), 2);
    drop(job);
    assert_eq!(Arc::strong_count(&result), 1);
}

#[test]
fn the_last_waker_is_woken_once() {
    let pool = pool(1);
    let (mut job, go) = occupy(&pool);
    let counts = [(); 3].map(|()| Arc::new(CountWakes::default()));
    for count in &counts {
        let waker = Waker::from(count.clone());
        assert!(pin!(&mut job).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(go);
    eventually("woken", || counts[2].0.load(Ordering::SeqCst) == 1);
    block_on(pool.shutdown(true, false));
    assert_eq!(counts.map(|count| count.0.load(Ordering::SeqCst)), [0, 0, 1]);
    block_on(job);
}

#[test]
fn drop_storm() {
    let pool = pool(4);
    let ran = Arc::new(AtomicUsize::new(0));
    let captured = Arc::new(());
    let mut kept = 0;
    for n in 0..20_000 {
        let (ran, captured) = (ran.clone(), captured.clone());
        let mut job = pool.submit(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            captured
        });
        match n % 4 {
            0 => drop(job),
            1 => {
                let polled = pin!(&mut job).poll(&mut Context::from_waker(Waker::noop()));
                kept += usize::from(polled.is_ready());
            }
            2 => {
                thread::yield_now();
                drop(job);
            }
            _ => {
                block_on(job);
                kept += 1;
            }
        }
    }
    block_on(pool.shutdown(true, false));
    assert!(ran.load(Ordering::SeqCst) >= kept);
    assert_eq!(Arc::strong_count(&captured), 1);
}

#[test]
fn shutdown_runs_what_is_queued_and_waits_for_it() {
    let pool = pool(2);
    let (_first, go) = occupy(&pool);
    let (_second, go2) = occupy(&pool);
    let ran = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..100)
        .map(|_| {
            let ran = ran.clone();
            pool.submit(move || ran.fetch_add(1, Ordering::SeqCst))
        })
        .collect();
    let mut shutdown = pin!(pool.shutdown(true, false));
    assert!(shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!pool.shutdown(true, false).wait_timeout(Duration::from_millis(1)));
    drop((go, go2));
    block_on(shutdown);
    assert_eq!(ran.load(Ordering::SeqCst), 100);
    assert!(jobs.iter().all(Job::done));
    assert_eq!(pool.threads(), 0);
    pool.shutdown(true, true).wait();
}

#[test]
fn shutdown_can_withdraw_what_is_queued() {
    let pool = pool(1);
    let (first, go) = occupy(&pool);
    let queued = pool.submit(|| ());
    let awaited = pool.submit(|| ());
    let mut shutdown = pin!(pool.shutdown(true, true));
    assert!(matches!(block_on(queued.outcome()), Err(JobError::Cancelled)));
    // The job that runs is waited for.
    assert!(shutdown.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(go);
    block_on(shutdown);
    block_on(first);
    // Outside of a task there is nothing to cancel.
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(awaited))).unwrap_err();
    assert!(caught.downcast_ref::<String>().unwrap().contains("outcome()"));
}

#[test]
fn shutdown_without_waiting_is_ready_at_once() {
    let pool = pool(1);
    let (_first, go) = occupy(&pool);
    let mut shutdown = pool.shutdown(false, false);
    assert!(pin!(&mut shutdown).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(pool.threads(), 1);
    drop(go);
    // The blocking wait is there all the same.
    shutdown.wait();
    assert_eq!(pool.threads(), 0);
}

#[test]
fn a_job_can_shut_its_pool_down_but_not_wait_for_it() {
    let pool = pool(1);
    let inner = pool.clone();
    let (began, begun) = channel::<()>();
    let first = pool.submit(move || {
        begun.recv_timeout(LONG).unwrap();
        let waits = catch_unwind(AssertUnwindSafe(|| inner.shutdown(true, false).wait())).unwrap_err();
        assert!(inner.try_submit(|| ()).is_err());
        *waits.downcast::<&str>().unwrap()
    });
    let queued = pool.submit(|| 2);
    began.send(()).unwrap();
    assert!(block_on(first).contains("its own pool"));
    assert_eq!(block_on(queued), 2, "it was submitted before");
    pool.shutdown(true, false).wait();
}

#[test]
fn a_job_can_submit_to_its_pool() {
    let pool = pool(1);
    let inner = pool.clone();
    let job = pool.submit(move || inner.submit(|| 7));
    assert_eq!(block_on(block_on(job)), 7);
}

#[test]
fn a_withdrawn_job_raises_in_its_task() {
    let pool = pool(1);
    let (_first, _go) = occupy(&pool);
    let mut job = pool.submit(|| ());
    drop(pool.shutdown(true, true));
    let task = 0_u64;
    for _ in 0..2 {
        // SAFETY: nothing here follows the address.
        let guard = unsafe { kumihimo_context::enter((&raw const task).cast(), 10) };
        assert!(pin!(&mut job).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(guard.ending().cancelled);
    }
}

#[test]
fn a_job_gives_way_to_a_delivery() {
    let pool = pool(1);
    let mut job = pool.submit(|| 3);
    let waker = Waker::noop();
    let task = 0_u64;
    let (busy, go) = occupy(&pool);
    let mut waiting = pool.submit(|| 4);
    assert!(pin!(&mut waiting).poll(&mut Context::from_waker(waker)).is_pending());
    drop(go);
    block_on(busy);
    eventually("done", || waiting.done());
    // SAFETY: nothing here follows the address.
    let guard = unsafe { kumihimo_context::enter((&raw const task).cast(), 10) };
    guard.deliver(None, false);
    assert!(
        pin!(&mut waiting).poll(&mut Context::from_waker(waker)).is_pending(),
        "it waited: the delivery is its"
    );
    assert_eq!(pin!(&mut job).poll(&mut Context::from_waker(waker)), Poll::Ready(3), "it had not waited");
    assert!(guard.ending().cancelled);
    drop(guard);
    assert_eq!(block_on(waiting), 4, "and its result is not lost");
}

#[test]
fn submitting_after_the_shutdown_is_an_error_that_gives_the_job_back() {
    let pool = pool(1);
    block_on(pool.shutdown(true, false));
    assert!(pool.is_shut_down());
    let error = pool.try_submit(|| 5).unwrap_err();
    assert!(error.to_string().contains("shut down"));
    assert_eq!(error.into_inner()(), 5);
    let caught = catch_unwind(AssertUnwindSafe(|| drop(pool.submit(|| ())))).unwrap_err();
    assert!(caught.downcast_ref::<String>().unwrap().contains("shut down"));
}

#[test]
fn a_dropped_pool_runs_its_jobs_and_ends() {
    let ran = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = {
        let pool = pool(1);
        let (_first, _go) = occupy(&pool);
        (0..10)
            .map(|_| {
                let ran = ran.clone();
                pool.submit(move || ran.fetch_add(1, Ordering::SeqCst))
            })
            .collect()
    };
    for job in jobs {
        block_on(job);
    }
    assert_eq!(ran.load(Ordering::SeqCst), 10);
    // The threads let go of everything: the jobs' captures are gone.
    eventually("released", || Arc::strong_count(&ran) == 1);
}

#[test]
fn a_pool_can_be_dropped_by_its_own_job() {
    let pool = pool(2);
    let inner = pool.clone();
    let job = pool.submit(move || drop(inner));
    drop(pool);
    block_on(job);
}

#[test]
fn to_thread_is_lazy_and_uses_the_current_pool() {
    let ours = pool(1);
    let other = pool(1);
    let name = |_: &str| thread::current().id();
    let lazy = to_thread(move || name(""));
    assert_eq!(ours.threads(), 0);
    let default = |pool: &ThreadPoolExecutor| Arc::new(DefaultExecutor::new(pool.clone()));
    let guard = enter(&default(&ours));
    {
        let _nested = enter(&default(&other));
        block_on(to_thread(|| ()));
        assert_eq!((ours.threads(), other.threads()), (0, 1));
    }
    assert_ne!(block_on(lazy), thread::current().id());
    assert_eq!(ours.threads(), 1);
    assert!(!block_on(to_thread(|| current().is_some())), "no loop runs in a pool thread");
    drop(guard);
    assert!(current().is_none());
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(to_thread(|| ())))).unwrap_err();
    let text = caught.downcast_ref::<&str>().unwrap();
    assert!(text.contains("no kumihimo loop runs"), "{text}");
}

#[test]
fn a_hundred_thousand_jobs() {
    let pool = ThreadPoolExecutor::default();
    let jobs: Vec<_> = (0..100_000_u64).map(|n| pool.submit(move || n)).collect();
    let sum: u64 = jobs.into_iter().map(block_on).sum();
    assert_eq!(sum, 100_000 * 99_999 / 2);
    assert!(pool.threads() <= pool.max_workers());
}

#[test]
fn many_submitters_and_a_shutdown_account_for_every_job() {
    for round in 0..20 {
        let pool =
            ThreadPoolExecutor::builder().max_workers(3).keep_alive(Duration::from_micros(200)).build();
        let ran = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::new(AtomicUsize::new(0));
        let cancelled = Arc::new(AtomicUsize::new(0));
        let submitters: Vec<_> = (0..4)
            .map(|_| {
                let (pool, ran) = (pool.clone(), ran.clone());
                let (accepted, cancelled) = (accepted.clone(), cancelled.clone());
                thread::spawn(move || {
                    for n in 0..2000 {
                        let ran = ran.clone();
                        let Ok(job) = pool.try_submit(move || ran.fetch_add(1, Ordering::SeqCst)) else {
                            break;
                        };
                        match block_on(job.outcome()) {
                            Ok(_) => accepted.fetch_add(1, Ordering::SeqCst),
                            Err(_) => cancelled.fetch_add(1, Ordering::SeqCst),
                        };
                        if n % 97 == 0 {
                            // Long enough for threads to leave.
                            thread::sleep(Duration::from_micros(300));
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(round));
        assert!(pool.shutdown(true, round % 2 == 0).wait_timeout(LONG));
        let at_end = ran.load(Ordering::SeqCst);
        for submitter in submitters {
            submitter.join().unwrap();
        }
        assert_eq!(ran.load(Ordering::SeqCst), at_end, "nothing runs after the end");
        assert_eq!(accepted.load(Ordering::SeqCst), at_end);
    }
}
