//! `run`, `Runner`, the clock and the loop.

// Tasks are handed out of a run on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]

mod support;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, process, thread};

use kumihimo as asyncio;
use kumihimo::{Runner, TaskError, clock};
use support::{Flavour, everywhere, millis, on, panic_message, secs, within_patience};

#[test]
fn run_gives_what_main_returns() {
    assert_eq!(asyncio::run(async { 1 + 1 }), 2);
    assert_eq!(asyncio::run(async { Err::<(), _>("an error") }), Err("an error"));
}

#[test]
fn main_may_borrow_and_stay_on_its_thread() {
    everywhere(async || {});
    for flavour in Flavour::ALL {
        let text = String::from("borrowed");
        let count = Rc::new(Cell::new(0));
        let here = thread::current().id();
        let length = on(flavour, async {
            for _ in 0..10 {
                asyncio::sleep(millis(1)).await;
                asyncio::create_task(async {}).await;
                assert_eq!(thread::current().id(), here);
                count.set(count.get() + 1);
            }
            text.len()
        });
        assert_eq!((length, count.get()), (8, 10));
    }
}

#[test]
fn a_panic_of_main_leaves_run() {
    let message =
        panic_message(|| asyncio::run(async { std::panic::resume_unwind(Box::new("main's panic")) }));
    assert_eq!(message, "main's panic");
}

#[test]
fn a_cancelled_main_is_an_error() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder().build().unwrap();
        let cancelled = runner.run(async {
            asyncio::current_task().unwrap().cancel_with("by itself");
            pending::<()>().await
        });
        assert_eq!(cancelled.unwrap_err().to_string(), "the task was cancelled: by itself");
        assert_eq!(runner.run(async { "the runner goes on" }).unwrap(), "the runner goes on");
    }
    let message = panic_message(|| {
        asyncio::run(async {
            asyncio::current_task().unwrap().cancel();
            pending::<()>().await
        })
    });
    assert!(message.contains("the main task was cancelled; use Runner::run()"), "{message}");
}

#[test]
fn nested_run_panics_and_starts_nothing() {
    const TEXT: &str = "asyncio::run() cannot be called from a running event loop";
    everywhere(async || {
        let never = async { unreachable!("started") };
        assert!(panic_message(|| asyncio::run(never)).contains(TEXT));
        let runner = Runner::builder().current_thread().build().unwrap();
        let never = async { unreachable!("started") };
        assert!(panic_message(|| drop(runner.run(never))).contains(TEXT));
        // In a task it stays in the task.
        let task = asyncio::create_task(async { asyncio::run(async {}) });
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!() };
        assert!(panic.message().contains(TEXT), "{panic}");
        asyncio::sleep(millis(1)).await;
    });
}

#[test]
fn run_in_a_thread_of_its_own_works() {
    everywhere(async || {
        let inner = || {
            asyncio::run(async {
                asyncio::sleep(millis(1)).await;
                asyncio::gather!(async { 1 }, async { 2 }).await
            })
        };
        assert_eq!(asyncio::to_thread(inner).await, (1, 2));
    });
}

#[test]
fn a_thread_of_the_pool_has_no_loop() {
    everywhere(async || {
        let (no_loop, no_task) = asyncio::to_thread(|| {
            (asyncio::try_get_running_loop().is_none(), asyncio::current_task().is_none())
        })
        .await;
        assert!(no_loop && no_task);
    });
}

#[test]
fn the_end_of_run_cancels_and_waits_once() {
    for flavour in Flavour::ALL {
        let steps = Arc::new(AtomicUsize::new(0));
        on(flavour, async {
            let count = steps.clone();
            // Swallows the cancellation, and ends later by itself.
            drop(asyncio::create_task(async move {
                assert!(asyncio::catch_cancelled(pending::<()>()).await.is_err());
                for _ in 0..3 {
                    asyncio::sleep(secs(60)).await;
                    count.fetch_add(1, Relaxed);
                }
            }));
            // Cleans up with awaits, a task of its own among them.
            let count = steps.clone();
            drop(asyncio::create_task(asyncio::finally(pending::<()>(), async move {
                asyncio::create_task(asyncio::sleep(secs(1))).await;
                count.fetch_add(1, Relaxed);
            })));
            // Fails while it is being cancelled; main's value stands.
            drop(asyncio::create_task(asyncio::finally(pending::<()>(), async {
                std::panic::resume_unwind(Box::new("clean-up failed"))
            })));
            asyncio::yield_now().await;
        });
        // A task that had not begun when it was cancelled never runs, so there may be fewer steps on workers.
        let steps = steps.load(Relaxed);
        assert!(
            if flavour == Flavour::CurrentThread { steps == 4 } else { steps <= 4 },
            "{steps} on {flavour}"
        );
    }
}

#[test]
fn a_shield_does_not_protect_from_the_end() {
    for flavour in Flavour::ALL {
        let inner = on(flavour, async {
            let inner = asyncio::create_task(pending::<()>()).shared();
            drop(asyncio::shield(inner.clone()));
            asyncio::sleep(millis(1)).await;
            assert!(!inner.done());
            inner
        });
        assert!(inner.cancelled());
    }
}

#[test]
fn tasks_that_are_left_go_on_in_the_next_run() {
    for flavour in Flavour::ALL {
        within_patience(flavour, || {
            let ticks = Arc::new(AtomicUsize::new(0));
            let runner = flavour.builder().build().unwrap();
            let event_loop = runner.get_loop();
            let count = ticks.clone();
            let task = runner
                .run(async {
                    let task = asyncio::create_task(async move {
                        for _ in 0..3 {
                            asyncio::sleep(millis(100)).await;
                            count.fetch_add(1, Relaxed);
                        }
                        "ticker done"
                    });
                    asyncio::sleep(millis(150)).await;
                    task
                })
                .unwrap();
            assert_eq!(ticks.load(Relaxed), 1);
            assert!(!task.done() && !event_loop.is_running() && !event_loop.is_closed());
            assert_eq!(runner.run(task).unwrap(), "ticker done");
            assert_eq!(ticks.load(Relaxed), 3);

            // Made between two runs, it waits for the second.
            let task = event_loop.create_task(async { asyncio::get_running_loop() });
            thread::sleep(millis(5));
            assert!(!task.done());
            assert!(runner.run(task).unwrap() == event_loop);
            assert!(runner.get_loop() == event_loop);
            runner.close();
            assert!(event_loop.is_closed());
            let message = panic_message(|| drop(event_loop.create_task(async {})));
            assert!(message.contains("the event loop is closed"), "{message}");
        });
    }
}

#[test]
fn close_cancels_what_is_left_and_waits_for_it() {
    for flavour in Flavour::ALL {
        for by_dropping in [false, true] {
            let cleaned = Arc::new(AtomicBool::new(false));
            let runner = flavour.builder().build().unwrap();
            let flag = cleaned.clone();
            let task = runner
                .run(async {
                    let task = asyncio::create_task(asyncio::finally(pending::<()>(), async move {
                        asyncio::sleep(secs(30)).await;
                        flag.store(true, Relaxed);
                    }));
                    asyncio::sleep(millis(1)).await;
                    task
                })
                .unwrap();
            assert!(!task.done());
            if by_dropping {
                drop(runner)
            } else {
                runner.close()
            }
            assert!(task.cancelled() && cleaned.load(Relaxed), "{flavour}");
        }
    }
}

#[test]
fn a_runner_that_a_panic_drops_still_waits_for_clean_up() {
    for flavour in Flavour::ALL {
        let cleaned = Arc::new(AtomicBool::new(false));
        let flag = cleaned.clone();
        let message = panic_message(|| {
            let runner = flavour.builder().build().unwrap();
            let left = runner.run(async {
                drop(asyncio::create_task(asyncio::finally(pending::<()>(), async move {
                    asyncio::sleep(secs(1)).await;
                    flag.store(true, Relaxed);
                })));
                asyncio::sleep(millis(1)).await;
            });
            left.unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert_eq!(message, "on purpose");
        assert!(cleaned.load(Relaxed));
    }
}

#[test]
fn loops_on_several_threads_do_not_meet() {
    let threads = (0..4).map(|i| {
        thread::spawn(move || {
            let flavour = Flavour::ALL[i];
            on(flavour, async {
                let event_loop = asyncio::get_running_loop();
                let tasks = (0..50).map(|_| async { asyncio::get_running_loop() }).collect::<Vec<_>>();
                let loops = asyncio::gather(tasks).await;
                assert!(loops.iter().all(|other| *other == event_loop));
                event_loop
            })
        })
    });
    let loops: Vec<_> =
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!((0..4).all(|i| (0..i).all(|j| loops[i] != loops[j])));
}

#[test]
fn hours_pass_on_a_mock_clock() {
    let real = std::time::Instant::now();
    everywhere(async || {
        let event_loop = asyncio::get_running_loop();
        let start = event_loop.time();
        let order = Arc::new(Mutex::new(Vec::new()));
        let sleepers = [5, 2, 9, 4, 7].map(|hours| {
            let order = order.clone();
            async move {
                asyncio::sleep(secs(hours * 3600)).await;
                order.lock().unwrap().push(hours);
            }
        });
        asyncio::gather(sleepers).await;
        assert_eq!(*order.lock().unwrap(), [2, 4, 5, 7, 9]);
        assert_eq!(event_loop.time() - start, secs(9 * 3600));
    });
    assert!(real.elapsed() < secs(30));
}

#[test]
fn a_mock_clock_waits_for_blocking_jobs() {
    everywhere(async || {
        let start = asyncio::Instant::now();
        let job = asyncio::create_task(asyncio::to_thread(|| thread::sleep(millis(20))));
        let slept = asyncio::create_task(async move {
            asyncio::sleep(secs(60)).await;
            assert!(job.done());
        });
        slept.await;
        assert_eq!(start.elapsed_since(), secs(60));
    });
}

/// How much time has passed on the loop's clock.
trait ElapsedSince {
    fn elapsed_since(self) -> Duration;
}

impl ElapsedSince for asyncio::Instant {
    fn elapsed_since(self) -> Duration {
        asyncio::get_running_loop().time() - self
    }
}

#[test]
fn a_mock_clock_is_advanced_by_hand() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder_in_real_time().build().unwrap();
        runner
            .run(async {
                clock::pause();
                let start = asyncio::get_running_loop().time();
                let task = asyncio::create_task(asyncio::sleep(secs(10)));
                asyncio::yield_now().await;
                clock::advance(secs(9)).await;
                assert!(!task.done());
                clock::advance(secs(2)).await;
                task.await;
                assert!(start.elapsed_since() >= secs(11));
                clock::resume();
                asyncio::sleep(millis(1)).await;
            })
            .unwrap();
    }
}

#[test]
fn threads_are_named_and_announced() {
    let (started, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (names, count) = (started.clone(), stopped.clone());
    let runner = Runner::builder()
        .worker_threads(3)
        .thread_name("test")
        .on_thread_start(move || names.lock().unwrap().push(thread::current().name().unwrap().to_string()))
        .on_thread_stop(move || _ = count.fetch_add(1, Relaxed))
        .build()
        .unwrap();
    runner.run(async {}).unwrap();
    runner.close();
    let mut names = started.lock().unwrap().clone();
    names.sort();
    assert_eq!(names, ["test-1", "test-2"]);
    assert_eq!(stopped.load(Relaxed), 2);
}

/// How many workers a runner has by default; called on a thread of its own.
fn default_workers() -> usize {
    let started = Arc::new(AtomicUsize::new(1));
    let count = started.clone();
    let builder = Runner::builder().on_thread_start(move || _ = count.fetch_add(1, Relaxed));
    builder.build().unwrap().close();
    started.load(Relaxed)
}

#[cfg(target_os = "linux")]
#[test]
fn the_number_of_workers_respects_the_processors_that_are_allowed() {
    assert_eq!(default_workers(), num_cpus());
    thread::spawn(|| {
        // SAFETY: the set is a plain bit mask, read and written in full, for this thread alone.
        let set = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            let size = std::mem::size_of_val(&set);
            assert_eq!(libc::sched_getaffinity(0, size, &mut set), 0);
            let allowed = (0..libc::CPU_SETSIZE as usize).find(|&cpu| libc::CPU_ISSET(cpu, &set)).unwrap();
            libc::CPU_ZERO(&mut set);
            libc::CPU_SET(allowed, &mut set);
            set
        };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set) }, 0);
        assert_eq!(default_workers(), 1);
    })
    .join()
    .unwrap();
}

/// What the system says: affinity, and the quotas that `nproc` does not know are left to the next test.
#[cfg(target_os = "linux")]
fn num_cpus() -> usize {
    thread::available_parallelism().unwrap().get()
}

/// Runs itself again in a cgroup with the quota of one processor.
#[cfg(target_os = "linux")]
#[test]
fn the_number_of_workers_respects_a_cgroup_quota() {
    const INSIDE: &str = "KUMIHIMO_TEST_IN_CGROUP";
    if std::env::var_os(INSIDE).is_some() {
        assert_eq!(default_workers(), 1);
        return;
    }
    let Some(group) = Cgroup::new() else {
        eprintln!(
            "skipped: no cgroup with a quota can be made here (it takes root, and a writable hierarchy)"
        );
        return;
    };
    // The shell enters the group, then becomes the test.
    let status = process::Command::new("sh")
        .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
        .arg(&group.0)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_number_of_workers_respects_a_cgroup_quota", "--nocapture"])
        .env(INSIDE, "yes")
        .status()
        .unwrap();
    assert!(status.success());
}

#[cfg(target_os = "linux")]
struct Cgroup(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Cgroup {
    /// A group that may use one processor's time, in whichever version of cgroups there is.
    fn new() -> Option<Cgroup> {
        let (parent, quota, value) = if fs::exists("/sys/fs/cgroup/cgroup.controllers").ok()? {
            ("/sys/fs/cgroup", "cpu.max", "100000 100000")
        } else {
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000")
        };
        // Elsewhere a folder would be just a folder.
        fs::metadata(format!("{parent}/cgroup.procs")).ok()?;
        let group = format!("{parent}/kumihimo-test-{}", process::id());
        fs::create_dir(&group).ok()?;
        let group = Cgroup(group.into());
        // In a group that does not hand the controller down there is no such file, and none can be made.
        fs::OpenOptions::new().write(true).open(group.0.join(quota)).ok()?;
        fs::write(group.0.join(quota), value).ok()?;
        Some(group)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
