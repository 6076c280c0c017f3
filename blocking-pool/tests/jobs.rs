//! Jobs outside of a loop, maps, initializers, metrics, and executors of the user's own.

mod support;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::block_on;
use kumihimo_blocking_pool::{
    DefaultExecutor, Executor, ExecutorJob, Job, JobError, SubmitError, ThreadPoolExecutor, enter, submit_to,
    to_thread,
};
use support::{LONG, eventually, occupy};

/// What a panic said.
fn panic_message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

#[test]
fn what_may_be_sent_and_shared() {
    fn all<T: Send + Sync>() {}
    all::<ThreadPoolExecutor>();
    all::<ExecutorJob>();
    all::<SubmitError<()>>();
    fn sent<T: Send>() {}
    sent::<Job<u8>>();
    sent::<kumihimo_blocking_pool::Map<u8>>();
    sent::<kumihimo_blocking_pool::Shutdown>();
    sent::<JobError>();
}

// === jobs ===

#[test]
fn results_can_be_waited_for_in_a_thread() {
    let pool = ThreadPoolExecutor::new(1);
    let (mut first, go) = occupy(&pool);
    let mut second = pool.submit(|| 2);
    assert!(first.running() && !first.done() && !second.running());
    for _ in 0..3 {
        assert!(matches!(second.result(Some(Duration::ZERO)), Err(JobError::TimedOut)));
    }
    drop(go);
    first.result(Some(LONG)).unwrap();
    assert_eq!(second.result(None).unwrap(), 2);
    assert!(first.done() && !first.running() && !first.cancelled() && !first.cancel());
    assert!(panic_message(|| drop(second.result(None))).contains("again"));

    let error = pool.submit(|| -> () { panic!("no") }).wait().unwrap_err();
    assert!(matches!(error, JobError::Panicked(payload) if payload.downcast_ref() == Some(&"no")));
}

#[test]
fn a_job_that_timed_out_can_still_be_awaited() {
    let pool = ThreadPoolExecutor::new(1);
    let (mut job, go) = occupy(&pool);
    assert!(matches!(job.result(Some(Duration::from_millis(1))), Err(JobError::TimedOut)));
    thread::spawn(move || drop(go));
    block_on(job);
}

#[test]
fn cancelling_withdraws_what_has_not_begun() {
    let pool = ThreadPoolExecutor::new(1);
    let (mut first, go) = occupy(&pool);
    let captured = Arc::new(());
    let held = captured.clone();
    let mut second = pool.submit(move || drop(held));
    // Also one that somebody waits for.
    assert!(pin!(&mut second).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(!first.cancel(), "it runs");
    assert!(second.cancel() && second.cancel() && second.cancelled() && second.done());
    assert_eq!(Arc::strong_count(&captured), 1, "what it captured is dropped at once");
    assert!(matches!(second.result(None), Err(JobError::Cancelled)));
    assert!(matches!(block_on(second.outcome()), Err(JobError::Cancelled)));
    drop(go);
    first.wait().unwrap();

    let (_busy, _go) = occupy(&pool);
    let mut withdrawn = pool.submit(|| ());
    drop(pool.shutdown(false, true));
    assert!(withdrawn.cancelled() && withdrawn.done() && withdrawn.cancel());
    assert!(matches!(withdrawn.result(None), Err(JobError::Cancelled)));
    assert!(withdrawn.cancelled());
}

/// Each of many jobs, some of which are withdrawn at random moments, runs once, or never if it was withdrawn.
#[test]
fn ten_thousand_jobs_with_random_cancels() {
    const JOBS: usize = 10_000;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let pool = ThreadPoolExecutor::new(3);
    let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..JOBS).map(|_| AtomicUsize::new(0)).collect());
    let mut open: Vec<(usize, Job<usize>)> = Vec::new();
    // Of each job: whether it was withdrawn, if that is known.
    let mut withdrawn = vec![None; JOBS];
    for n in 0..JOBS {
        let counts = runs.clone();
        open.push((n, pool.submit(move || counts[n].fetch_add(1, Ordering::SeqCst) + n)));
        while open.len() > random(40) as usize {
            let (n, mut job) = open.swap_remove(random(open.len() as u64) as usize);
            match random(4) {
                0 => withdrawn[n] = Some(job.cancel()),
                1 => drop(job),
                2 => {
                    assert_eq!(job.result(Some(LONG)).unwrap(), n);
                    withdrawn[n] = Some(false);
                }
                _ => {
                    assert_eq!(block_on(job), n);
                    withdrawn[n] = Some(false);
                }
            }
        }
    }
    pool.shutdown(true, true).wait();
    for (n, job) in open {
        withdrawn[n] = Some(match job.wait() {
            Ok(value) => {
                assert_eq!(value, n);
                false
            }
            Err(error) => {
                assert!(matches!(error, JobError::Cancelled));
                true
            }
        });
    }
    let mut ran = 0;
    for (n, withdrawn) in withdrawn.into_iter().enumerate() {
        let times = runs[n].load(Ordering::SeqCst);
        assert!(times <= 1);
        if let Some(withdrawn) = withdrawn {
            assert_eq!(times, usize::from(!withdrawn), "job {n}");
        }
        ran += times;
    }
    assert_eq!(pool.metrics().completed, ran as u64);
}

// === map ===

#[test]
fn a_map_gives_values_in_the_order_of_the_items() {
    let pool = ThreadPoolExecutor::new(3);
    let barrier = Arc::new(Barrier::new(3));
    let together = barrier.clone();
    let squares = pool.map(
        move |n: u64| {
            // Submitted at once, though nobody has asked for a value.
            together.wait();
            thread::sleep(Duration::from_millis(3 - n));
            n * n
        },
        0..3,
    );
    assert_eq!(block_on(async { squares.await }), [0, 1, 4]);

    let mut one_by_one = pool.map(str::len, ["a", "bc", ""]);
    block_on(async {
        assert_eq!(one_by_one.next().await, Some(1));
        assert_eq!(futures_lite::Stream::size_hint(&one_by_one), (2, Some(2)));
        let rest: Vec<_> = StreamExt::collect(&mut one_by_one).await;
        assert_eq!(rest, [2, 0]);
        assert_eq!(one_by_one.next().await, None);
        assert_eq!(pool.map(|n: u8| n, []).await, []);
    });
}

#[test]
fn a_map_that_panics_or_is_dropped_withdraws_the_rest() {
    let pool = ThreadPoolExecutor::new(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let (gate_in, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let count = calls.clone();
    let mut map = pool.map(
        move |n| {
            count.fetch_add(1, Ordering::SeqCst);
            assert!(n != 1, "the second");
            // The third call waits until the map has panicked.
            if n == 2 {
                let _ = gate.lock().unwrap().recv();
            }
            n
        },
        0..10,
    );
    assert_eq!(block_on(map.next()), Some(0));
    assert!(panic_message(|| _ = block_on(map.next())).contains("the second"));
    assert_eq!(block_on(map.next()), None, "it is over");
    drop(gate_in);
    pool.submit(|| ()).wait().unwrap();
    assert!(calls.load(Ordering::SeqCst) <= 3);

    let (busy, go) = occupy(&pool);
    let map = pool.map(|()| unreachable!("withdrawn"), [(), ()]);
    let _: &kumihimo_blocking_pool::Map<()> = &map;
    drop(map);
    drop(go);
    busy.wait().unwrap();
    pool.shutdown(true, false).wait();
    assert!(panic_message(|| drop(pool.map(|n| n, [1]))).contains("shut down"));
}

// === initializer ===

#[test]
fn the_initializer_runs_in_each_thread_before_its_first_job() {
    thread_local! { static READY: AtomicBool = const { AtomicBool::new(false) } }
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let pool = ThreadPoolExecutor::builder()
        .max_workers(4)
        .keep_alive(Duration::from_millis(5))
        .initializer(move || {
            count.fetch_add(1, Ordering::SeqCst);
            READY.with(|ready| ready.store(true, Ordering::Relaxed));
        })
        .build();
    assert_eq!(calls.load(Ordering::SeqCst), 0, "no thread, no initializer");
    for round in 1..=2 {
        let barrier = Arc::new(Barrier::new(4));
        let jobs: Vec<_> = (0..4)
            .map(|_| {
                let barrier = barrier.clone();
                pool.submit(move || {
                    barrier.wait();
                    READY.with(|ready| ready.load(Ordering::Relaxed))
                })
            })
            .collect();
        assert!(jobs.into_iter().all(|job| job.wait().unwrap()));
        assert_eq!(calls.load(Ordering::SeqCst), 4 * round);
        eventually("the threads leave", || pool.threads() == 0);
    }
}

#[test]
fn threads_initialize_side_by_side_and_no_more_than_are_needed() {
    let barrier = Arc::new(Barrier::new(3));
    let together = barrier.clone();
    let pool = ThreadPoolExecutor::builder()
        .max_workers(8)
        .initializer(move || {
            // Nobody passes before three are here.
            together.wait();
        })
        .build();
    let jobs = [(); 3].map(|()| pool.submit(|| ()));
    for job in jobs {
        job.wait().unwrap();
    }
    assert_eq!(pool.threads(), 3);
}

#[test]
fn a_panicking_initializer_breaks_the_pool() {
    let (entered, entering) = channel();
    let (fail, failing) = channel::<()>();
    let failing = Mutex::new(failing);
    let pool = ThreadPoolExecutor::builder()
        .max_workers(1)
        .initializer(move || {
            entered.send(()).unwrap();
            let _ = failing.lock().unwrap().recv();
            panic!("no licence");
        })
        .build();
    let (first, mut second, third) =
        (pool.submit(|| ()), pool.submit(|| ()), pool.submit(|| unreachable!("it never begins")));
    entering.recv_timeout(LONG).unwrap();
    assert!(pool.broken().is_none() && second.cancel());
    drop(fail);
    let error = first.wait().unwrap_err();
    assert!(matches!(&error, JobError::Broken(why) if why.message() == "no licence"));
    assert!(error.to_string().contains("initializer panicked (no licence)"), "{error}");
    assert!(matches!(second.wait(), Err(JobError::Cancelled)), "it was withdrawn before");
    assert!(panic_message(|| block_on(third)).contains("no licence"));

    let error = pool.try_submit(|| 5).unwrap_err();
    assert_eq!(error.broken().unwrap().message(), "no licence");
    assert_eq!(error.into_inner()(), 5);
    assert!(panic_message(|| drop(pool.submit(|| ()))).contains("no licence"));
    assert_eq!(pool.broken().unwrap().message(), "no licence");
    pool.shutdown(true, false).wait();
    assert_eq!((pool.threads(), pool.queue_depth(), pool.metrics().completed), (0, 0, 0));
}

#[test]
fn what_runs_elsewhere_survives_the_break() {
    let calls = AtomicUsize::new(0);
    let pool = ThreadPoolExecutor::builder()
        .max_workers(2)
        .initializer(move || assert!(calls.fetch_add(1, Ordering::SeqCst) == 0, "the second"))
        .build();
    let (first, go) = occupy(&pool);
    assert!(matches!(pool.submit(|| ()).wait(), Err(JobError::Broken(_))));
    drop(go);
    first.wait().unwrap();
    pool.shutdown(true, false).wait();
}

#[test]
fn breaking_under_load_strands_nobody() {
    for fails_at in 0..40 {
        let calls = AtomicUsize::new(0);
        let pool = ThreadPoolExecutor::builder()
            .max_workers(4)
            .keep_alive(Duration::from_micros(50))
            .initializer(move || {
                if calls.fetch_add(1, Ordering::SeqCst) == fails_at % 8 {
                    std::panic::resume_unwind(Box::new("it fails"));
                }
            })
            .build();
        let submitters = [(); 3].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || {
                for n in 0..200 {
                    let Ok(mut job) = pool.try_submit(|| 1) else { return };
                    match job.result(Some(LONG)) {
                        Ok(1) | Err(JobError::Broken(_)) => {}
                        other => panic!("{other:?}"),
                    }
                    if n % 5 == 0 {
                        thread::sleep(Duration::from_micros(120));
                    }
                }
            })
        });
        for submitter in submitters {
            submitter.join().unwrap();
        }
        assert!(pool.shutdown(true, false).wait_timeout(LONG));
    }
}

// === metrics ===

#[test]
fn metrics_tell_what_the_pool_does() {
    let pool = ThreadPoolExecutor::builder().max_workers(2).keep_alive(Duration::from_millis(5)).build();
    let (first, go) = occupy(&pool);
    let (second, go_too) = occupy(&pool);
    let queued = [(); 3].map(|()| pool.submit(|| ()));
    let metrics = pool.metrics();
    assert_eq!((metrics.max_workers, metrics.threads, metrics.running, metrics.idle), (2, 2, 2, 0));
    assert_eq!((metrics.queued, pool.queue_depth(), metrics.completed), (3, 3, 0));
    drop((go, go_too));
    first.wait().unwrap();
    second.wait().unwrap();
    queued.into_iter().for_each(|job| job.wait().unwrap());
    assert!(pool.submit(|| -> () { panic!("counted as well") }).wait().is_err());
    assert_eq!(pool.metrics().completed, 6);
    eventually("the threads leave", || pool.threads() == 0);
    let metrics = pool.metrics();
    assert_eq!((metrics.running, metrics.idle, metrics.queued, metrics.completed), (0, 0, 0, 6));
}

// === executors of the user's own ===

/// Keeps jobs for a test to do something with.
#[derive(Default)]
struct Shelf(Mutex<Vec<ExecutorJob>>);

impl Executor for Shelf {
    fn execute(&self, job: ExecutorJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut jobs = self.0.lock().unwrap();
        if jobs.len() == 2 {
            return Err("the shelf is full".into());
        }
        jobs.push(job);
        Ok(())
    }
}

#[test]
fn an_executor_of_ones_own_runs_refuses_and_drops() {
    let shelf = Arc::new(Shelf::default());
    let run = submit_to(&shelf, || thread::current().id()).unwrap();
    let dropped = submit_to(&*shelf as &dyn Executor, || ()).unwrap();
    let captured = Arc::new(());
    let held = captured.clone();
    let error = submit_to(&shelf, move || drop(held)).unwrap_err();
    assert_eq!(error.to_string(), "the executor refused the job: the shelf is full");
    assert_eq!(Arc::strong_count(&captured), 1);

    let mut jobs = shelf.0.lock().unwrap().drain(..).collect::<Vec<_>>();
    let (second, first) = (jobs.pop().unwrap(), jobs.pop().unwrap());
    let thread = thread::spawn(move || first.run());
    let id = thread.thread().id();
    thread.join().unwrap();
    assert_eq!(block_on(run), id);
    assert!(!second.is_withdrawn());
    drop(second);
    assert!(dropped.cancelled());
    assert!(matches!(dropped.wait(), Err(JobError::Cancelled)), "nobody hangs");

    let panics = submit_to(&shelf, || -> () { panic!("in the job") }).unwrap();
    drop(submit_to(&shelf, || unreachable!("withdrawn")).unwrap());
    for job in shelf.0.lock().unwrap().drain(..) {
        let _ = job.is_withdrawn();
        job.run();
    }
    assert!(matches!(panics.wait(), Err(JobError::Panicked(_))));
}

#[test]
fn a_thread_pool_is_an_executor() {
    let pool = ThreadPoolExecutor::new(1);
    let executor: Box<dyn Executor> = Box::new(pool.clone());
    assert_eq!(submit_to(&executor, || 1).unwrap().wait().unwrap(), 1);
    let (_busy, _go) = occupy(&pool);
    let captured = Arc::new(());
    let held = captured.clone();
    drop(submit_to(&pool, move || drop(held)).unwrap());
    assert_eq!(Arc::strong_count(&captured), 1, "withdrawn at once");
    drop(pool.shutdown(false, false));
    let error = submit_to(&pool, || ()).unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(error.into_inner().downcast::<SubmitError<()>>().is_ok());
}

#[test]
fn submitting_to_a_closing_executor_runs_or_refuses() {
    for round in 0..200 {
        let pool = ThreadPoolExecutor::new(2);
        let other = pool.clone();
        let closer = thread::spawn(move || {
            thread::sleep(Duration::from_micros(round));
            drop(other.shutdown(false, false));
        });
        let ran = Arc::new(AtomicUsize::new(0));
        let mut accepted = 0;
        loop {
            let count = ran.clone();
            match submit_to(&pool, move || count.fetch_add(1, Ordering::SeqCst)) {
                Ok(mut job) => {
                    job.result(Some(LONG)).unwrap();
                    accepted += 1;
                }
                Err(_) => break,
            }
        }
        closer.join().unwrap();
        pool.shutdown(true, false).wait();
        assert_eq!(ran.load(Ordering::SeqCst), accepted);
    }
}

// === the default executor ===

#[test]
fn the_default_executor_can_be_replaced_and_shut_down() {
    let named = |name: &str| ThreadPoolExecutor::builder().max_workers(1).thread_name(name).build();
    let executor = Arc::new(DefaultExecutor::new(named("first")));
    let _entered = enter(&executor);
    let name = || thread::current().name().map(str::to_owned).unwrap();
    assert_eq!(block_on(to_thread(name)), "first-0");
    executor.set(named("second"));
    assert_eq!(block_on(to_thread(name)), "second-0");
    assert_eq!(executor.submit(name).unwrap().wait().unwrap(), "second-0");
    let elsewhere = executor.clone();
    let other = thread::spawn(move || elsewhere.submit(name).unwrap().wait().unwrap());
    assert_eq!(other.join().unwrap(), "second-0");

    executor.shutdown().wait();
    assert!(executor.get().is_none());
    let text = panic_message(|| drop(block_on(to_thread(name))));
    assert!(text.contains("executor shutdown has been called"), "{text}");
    executor.set(named("third"));
    assert!(executor.get().is_none() && executor.submit(name).is_err(), "it is over for good");
}

#[test]
fn a_pool_that_was_replaced_ends_its_jobs_and_itself() {
    let executor = Arc::new(DefaultExecutor::new(ThreadPoolExecutor::new(1)));
    let _entered = enter(&executor);
    let captured = Arc::new(());
    let held = captured.clone();
    let old = executor.submit(move || held).unwrap();
    executor.set(ThreadPoolExecutor::new(1));
    block_on(to_thread(|| ()));
    drop(old.wait().unwrap());
    eventually("released", || Arc::strong_count(&captured) == 1);
}
