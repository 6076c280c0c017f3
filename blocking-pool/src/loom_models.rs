//! Models of the slot's hand-over, of the crew's sleep and wake, of initializers and the pool that breaks, and of calls that
//! were sent ahead to a process and are had back.
//!
//! Run: `RUSTFLAGS="--cfg kumihimo_loom" cargo test -p kumihimo-blocking-pool --release --lib loom`. The preemption
//! bound stands beside each model.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kumihimo_context::model::check as model;
use loom::sync::atomic::AtomicUsize as LoomUsize;
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::crew::Summons;
use crate::hand::Hand;
use crate::job::Job;
use crate::slot::{Await, Run, Slot};
use crate::turns::Turns;
use crate::worker::{Config, Shared};
use crate::{JobError, ThreadPoolExecutor};

/// Counts its wake-ups and lets a thread wait for them.
///
/// Made of loom's parts, so that a wake-up that never comes is a deadlock that loom reports.
struct Bell {
    rings: Mutex<usize>,
    rung: Condvar,
}

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::new(Bell { rings: Mutex::new(0), rung: Condvar::new() })
    }

    fn wait_for(&self, rings: usize) {
        let mut now = self.rings.lock().unwrap();
        while *now < rings {
            now = self.rung.wait(now).unwrap();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rings.lock().unwrap() += 1;
        self.rung.notify_one();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        bell.wait_for(polls);
    }
    unreachable!()
}

/// A value whose life is counted.
struct Counted(std::sync::Arc<LoomUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A slot, seen from both sides.
fn slot<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> (Arc<dyn Run>, Arc<dyn Await<T>>) {
    let slot = Arc::new(Slot::new(f, None));
    (Arc::clone(&slot) as _, slot as _)
}

/// Preemptions: 5.
#[test]
fn slot_hands_over_and_wakes() {
    model(5, || {
        let (run, handle) = slot(|| Box::new(7));
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        assert_eq!(*block_on(Job::new(handle)), 7);
        pool.join().unwrap();
    });
}

/// Preemptions: 5.
#[test]
fn slot_polled_with_two_wakers() {
    model(5, || {
        let (run, handle) = slot(|| Box::new(7));
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        let first = Bell::new();
        let waker = Waker::from(Arc::clone(&first));
        let mut job = Job::new(handle);
        match pin!(&mut job).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => assert_eq!(*value, 7),
            Poll::Pending => assert_eq!(*block_on(job), 7),
        }
        pool.join().unwrap();
        // Only a completion that came between the two polls rings the first bell.
        assert!(*first.rings.lock().unwrap() <= 1);
    });
}

/// Preemptions: 5.
#[test]
fn slot_dropped_while_it_runs() {
    model(5, || {
        let (captured, output) =
            (std::sync::Arc::new(LoomUsize::new(0)), std::sync::Arc::new(LoomUsize::new(0)));
        let (c, o) = (Counted(captured.clone()), Counted(output.clone()));
        let (run, handle) = slot(move || {
            drop(c);
            o
        });
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        let mut job = Job::new(handle);
        let polled = pin!(&mut job).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        drop(job);
        if polled {
            assert_eq!(output.load(Relaxed), 1, "the value was dropped with the poll's result");
        }
        pool.join().unwrap();
        assert_eq!((captured.load(Relaxed), output.load(Relaxed)), (1, 1), "each is dropped exactly once");
    });
}

/// Preemptions: 5.
#[test]
fn slot_taken_back_or_run() {
    model(5, || {
        let runs = std::sync::Arc::new(LoomUsize::new(0));
        let seen = runs.clone();
        let slot = Arc::new(Slot::new(
            move || {
                seen.fetch_add(1, Relaxed);
            },
            None,
        ));
        let run = Arc::clone(&slot);
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        let back = slot.take_back();
        if back.is_none() {
            // It has begun, and the job stands.
            block_on(Job::new(slot));
        }
        pool.join().unwrap();
        assert_eq!(runs.load(Relaxed), usize::from(back.is_none()));
    });
}

/// Preemptions: 5.
#[test]
fn slot_refused_or_withdrawn() {
    model(5, || {
        let (run, handle) = slot(|| ());
        let pool = thread::spawn(move || assert!(run.refuse(JobError::Cancelled)));
        let job = Job::new(handle);
        assert!(matches!(block_on(job.outcome()), Err(JobError::Cancelled)));
        pool.join().unwrap();
    });
}

fn pool(max_workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::builder().max_workers(max_workers).keep_alive(Duration::MAX).build()
}

/// One thread that may park between the jobs: no push is overlooked.
/// Preemptions: 3.
#[test]
fn crew_one_thread_two_jobs() {
    model(3, || {
        let pool = pool(1);
        block_on(pool.submit(|| ()));
        block_on(pool.submit(|| ()));
        pool.shutdown(true, false).wait();
    });
}

/// Two jobs that need each other: the second thread is started however the first one is.
/// Preemptions: 2.
#[test]
fn crew_runs_in_parallel() {
    model(2, || {
        let pool = pool(2);
        let bells = [Bell::new(), Bell::new()];
        let jobs = [0, 1].map(|me| {
            let (mine, other) = (bells[me].clone(), bells[1 - me].clone());
            pool.submit(move || {
                other.wake();
                mine.wait_for(1);
            })
        });
        for job in jobs {
            block_on(job);
        }
        pool.shutdown(true, false).wait();
    });
}

/// A thread that is idle for too long leaves, while a job comes: that is run all the same.
/// Preemptions: 3.
#[test]
fn crew_leaves_while_a_job_comes() {
    model(3, || {
        let keep_alive = Duration::from_secs(1);
        let pool = ThreadPoolExecutor::builder().max_workers(1).keep_alive(keep_alive).build();
        block_on(pool.submit(|| ()));
        block_on(pool.submit(|| ()));
        pool.shutdown(true, false).wait();
    });
}

/// Two submitters and one thread.
/// Preemptions: 2.
#[test]
fn crew_two_submitters() {
    model(2, || {
        let pool = pool(1);
        let other = pool.clone();
        let submitter = thread::spawn(move || block_on(other.submit(|| 1)));
        assert_eq!(block_on(pool.submit(|| 2)), 2);
        assert_eq!(submitter.join().unwrap(), 1);
        pool.shutdown(true, false).wait();
    });
}

/// A submission that meets a shutdown is run or given back, never lost; and nothing runs after the end.
/// Preemptions: 3.
#[test]
fn crew_submit_while_closing() {
    model(3, || {
        let pool = pool(1);
        // A thread is there, which may get to the job before the submitter can take it back.
        drop(pool.submit(|| ()));
        let ran = std::sync::Arc::new(LoomUsize::new(0));
        let (other, seen) = (pool.clone(), ran.clone());
        let submitter = thread::spawn(move || match other.try_submit(move || seen.fetch_add(1, SeqCst)) {
            Ok(job) => block_on(job.outcome()).is_ok(),
            Err(_) => false,
        });
        pool.shutdown(true, false).wait();
        let at_end = ran.load(SeqCst);
        let accepted = submitter.join().unwrap();
        assert_eq!(at_end, usize::from(accepted));
        assert_eq!(ran.load(SeqCst), at_end);
    });
}

/// A job that is cancelled after it was polled is run or withdrawn, and its waker let go.
/// Preemptions: 5.
#[test]
fn slot_polled_and_cancelled() {
    model(5, || {
        let runs = std::sync::Arc::new(LoomUsize::new(0));
        let seen = runs.clone();
        let (run, handle) = slot(move || seen.fetch_add(1, Relaxed));
        // A withdrawn job stays in the queue until its turn comes.
        let queued = Arc::clone(&run);
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        let bell = Bell::new();
        let waker = Waker::from(Arc::clone(&bell));
        let mut job = Job::new(handle);
        let polled = pin!(&mut job).poll(&mut Context::from_waker(&waker)).is_ready();
        let withdrawn = !polled && job.cancel();
        if !polled && !withdrawn {
            block_on(&mut job);
        }
        pool.join().unwrap();
        assert_eq!(runs.load(Relaxed), usize::from(!withdrawn));
        drop((waker, job));
        assert_eq!(Arc::strong_count(&bell), 1, "nobody keeps the waker");
        drop(queued);
    });
}

/// Two on the pool's side: only the first has the closure.
/// Preemptions: 5.
#[test]
fn slot_run_or_refused() {
    model(5, || {
        let (run, handle) = slot(|| Box::new(7));
        let other = Arc::clone(&run);
        let pool = thread::spawn(move || run.run(&mut |_| {}));
        let refused = other.refuse(JobError::Cancelled);
        let outcome = block_on(Job::new(handle).outcome());
        assert_eq!(outcome.is_err(), refused);
        pool.join().unwrap();
    });
}

fn initialized(max_workers: usize, initializer: impl Fn() + Send + Sync + 'static) -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder().max_workers(max_workers).keep_alive(Duration::MAX);
    builder.initializer(initializer).build()
}

/// Jobs that wait while the pool breaks, and those that come then, fail; none is stranded, and who is refused is told
/// why.
/// Preemptions: 2.
#[test]
fn pool_breaks() {
    model(2, || {
        // No hook, which would print each time.
        let pool = initialized(1, || std::panic::resume_unwind(Box::new("it fails")));
        let other = pool.clone();
        let submitter = thread::spawn(move || match other.try_submit(|| ()) {
            Ok(job) => assert!(matches!(block_on(job.outcome()), Err(JobError::Broken(_)))),
            Err(error) => assert!(error.broken().is_some(), "the pool was closed by its break only"),
        });
        match pool.try_submit(|| ()) {
            Ok(job) => assert!(matches!(block_on(job.outcome()), Err(JobError::Broken(_)))),
            Err(error) => assert!(error.broken().is_some()),
        }
        submitter.join().unwrap();
        pool.shutdown(true, false).wait();
    });
}

/// Two jobs that need each other, where threads have an initializer: the second thread is started in time.
/// Preemptions: 2.
#[test]
fn pool_initializes_in_parallel() {
    model(2, || {
        let pool = initialized(2, || ());
        let bells = [Bell::new(), Bell::new()];
        let jobs = [0, 1].map(|me| {
            let (mine, other) = (bells[me].clone(), bells[1 - me].clone());
            pool.submit(move || {
                other.wake();
                mine.wait_for(1);
            })
        });
        for job in jobs {
            block_on(job);
        }
        pool.shutdown(true, false).wait();
    });
}

/// Two threads end their initializers and take a job each, as a third job comes: who stops searching last does not take the
/// other for busy still, so somebody is called.
/// Preemptions: 3.
#[test]
fn pool_searches_beside_an_initializer() {
    model(3, || {
        let config = Config {
            max_workers: 3,
            keep_alive: Duration::MAX,
            thread_name: String::new(),
            stack_size: None,
            initializer: Some(Arc::new(|| ())),
        };
        // The threads are the model's.
        let pool = Arc::new(Shared::new(config));
        for _ in 0..2 {
            pool.queue.push(slot(|| ()).0);
            assert!(matches!(pool.crew.summon(), Summons::Start));
            assert!(matches!(pool.begin_initializer(), Summons::None));
        }
        let take = |pool: &Shared| pool.take_job().expect("there are more jobs than threads").1;
        let other = thread::spawn({
            let pool = pool.clone();
            move || {
                pool.end_initializer();
                take(&pool)
            }
        });
        pool.end_initializer();
        pool.queue.push(slot(|| ()).0);
        let summons = [pool.crew.summon(), take(&pool), other.join().unwrap()];
        assert!(summons.iter().any(|one| matches!(one, Summons::Start)), "nobody comes for the third job");
    });
}

/// A process with its own thread: begins what it is sent, and answers.
struct Process {
    turns: Turns,
    sent: Mutex<VecDeque<(u32, usize)>>,
    answers: Mutex<VecDeque<usize>>,
    /// How often each call was begun, here or elsewhere.
    begun: [LoomUsize; 4],
}

impl Process {
    fn new() -> Arc<Process> {
        let begun = std::array::from_fn(|_| LoomUsize::new(0));
        let (sent, answers) = (Mutex::new(VecDeque::new()), Mutex::new(VecDeque::new()));
        Arc::new(Process { turns: Turns::new(), sent, answers, begun })
    }

    fn send(&self, hand: &mut Hand<usize>, call: usize) {
        self.sent.lock().unwrap().push_back((hand.turn(), call));
        hand.push(call);
    }

    /// Looks at the next thing that it was sent; false if there is none.
    fn step(&self) -> bool {
        let Some((turn, call)) = self.sent.lock().unwrap().pop_front() else { return false };
        if self.turns.begin(turn) {
            self.begun[call].fetch_add(1, Relaxed);
            self.answers.lock().unwrap().push_back(call);
        }
        true
    }

    /// The pool has a call done elsewhere.
    fn elsewhere(&self, calls: Vec<usize>) {
        calls.into_iter().for_each(|call| drop(self.begun[call].fetch_add(1, Relaxed)));
    }

    /// The pool takes the answers that have come.
    fn take_answers(&self, hand: &mut Hand<usize>) {
        while let Some(answer) = self.answers.lock().unwrap().pop_front() {
            assert_eq!(hand.answered(|call| *call == answer), Some(answer), "answers come in order");
        }
    }
}

/// Two calls are sent ahead and had back while they may begin; a third is sent in the next turn, and may be had back, too; a fourth is not.
/// Preemptions: 4.
#[test]
fn pool_has_calls_back() {
    model(4, || {
        let process = Process::new();
        let mut hand = Hand::new();
        process.send(&mut hand, 0);
        process.send(&mut hand, 1);
        let thread = thread::spawn({
            let process = Arc::clone(&process);
            move || (0..3).for_each(|_| drop(process.step()))
        });
        process.take_answers(&mut hand);
        process.elsewhere(hand.recall(&process.turns));
        process.send(&mut hand, 2);
        process.take_answers(&mut hand);
        process.elsewhere(hand.recall(&process.turns));
        thread.join().unwrap();
        process.send(&mut hand, 3);
        while process.step() {}
        process.take_answers(&mut hand);
        assert_eq!(hand.len(), 0, "each call was answered or had back");
        let begun = process.begun.each_ref().map(|begun| begun.load(Relaxed));
        assert_eq!(begun, [1; 4], "each call was begun once");
    });
}
