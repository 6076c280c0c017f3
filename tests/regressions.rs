//! Situations that once went wrong, each under the name of what is right.

mod support;

use std::collections::HashSet;
use std::future::{Future, IntoFuture, pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

use kumihimo as asyncio;
use kumihimo::{
    CancelledError, ResultError, Task, TaskError, TaskHandle, catch_cancelled, create_task, finally,
    yield_now,
};
use support::{Flavour, millis, on, secs, within_patience};

// === what the tests share ===

/// Runs a test where everybody takes turns on one thread: on the loop that keeps asyncio's order, and on a lone worker.
fn on_one_thread<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for flavour in [Flavour::CurrentThread, Flavour::Workers(1)] {
        on(flavour, test());
    }
}

/// Lets the other tasks run; for somebody on the same thread.
async fn turns(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// Enough turns for everything that can happen to have happened.
async fn settle() {
    turns(30).await;
}

/// A future that the runtime knows nothing of.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn open(&self) {
        self.0.lock().unwrap().0 = true;
        self.wake();
    }

    /// Wakes who waits, for nothing if the gate is shut.
    fn wake(&self) {
        let waker = self.0.lock().unwrap().1.take();
        waker.expect("somebody should wait at the gate").wake();
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.0 {
            return Poll::Ready(());
        }
        inner.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A task that, once cancelled, waits for the gate, and ends cancelled only then.
fn slow_to_end(gate: &Gate) -> Task<()> {
    let gate = gate.clone();
    create_task(async move {
        if let Err(cancelled) = catch_cancelled(pending::<()>()).await {
            gate.await;
            cancelled.raise().await
        }
    })
}

/// How an awaiter waits for the first of a gate and a task, as `select!` does.
#[derive(Default)]
struct Race {
    /// The gate is looked at before the task.
    gate_first: bool,
    /// It waits for a third thing, too, which never comes to anything: requests don't go past it to the task.
    third: bool,
    /// Turns it takes when the race is over.
    turns_after: usize,
}

/// Cancels an awaiter of a task that is slow to end, has the gate win, and gives the awaiter's cancellation.
async fn cancel_and_let_the_gate_win(race: Race) -> CancelledError {
    let (slow, gate) = (Gate::default(), Gate::default());
    let mut task = slow_to_end(&slow);
    let mut wins = gate.clone();
    let mut wins = move |cx: &mut Context<'_>| Pin::new(&mut wins).poll(cx).is_ready();
    let awaiter = create_task(async move {
        poll_fn(|cx| {
            if race.gate_first && wins(cx) {
                return Poll::Ready(());
            }
            let ended = Pin::new(&mut task).poll(cx);
            if race.third {
                let _ = pin!(yield_now()).poll(cx);
            }
            if !race.gate_first && wins(cx) { Poll::Ready(()) } else { ended }
        })
        .await;
        drop(task);
        turns(race.turns_after).await;
    });
    settle().await;
    awaiter.cancel_with("bye");
    settle().await;
    assert!(!awaiter.done());
    gate.open();
    settle().await;
    slow.open();
    match awaiter.outcome().await {
        Err(TaskError::Cancelled(error)) => error,
        other => panic!("it should be cancelled: {other:?}"),
    }
}

/// Waits for what needs no more than time; false if it does not happen in any time that is bearable.
fn happens(mut what: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !what() {
        if began.elapsed() > secs(20) {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("dropped"));
    }
}

// === scheduling ===

/// A main task that created one task a turn, and gave way, was in step with the turns of the two queues: the other tasks never ran.
#[test]
fn a_ready_task_runs_beside_a_main_task_with_a_rhythm() {
    for tasks_per_turn in 0..4 {
        on_one_thread(async || {
            let ran = Arc::new(AtomicBool::new(false));
            let other = create_task({
                let ran = ran.clone();
                async move { ran.store(true, SeqCst) }
            });
            for _ in 0..1000 {
                if ran.load(SeqCst) {
                    break;
                }
                for _ in 0..tasks_per_turn {
                    drop(create_task(async {}));
                }
                yield_now().await;
            }
            assert!(ran.load(SeqCst), "it has not run in 1000 turns");
            other.await;
        });
    }
}

// === scheduling ===

/// Polls that end by a spent budget, one after the other, were taken for a future that ignores it, and the budget lifted.
#[test]
fn the_budget_is_enforced_however_often_it_was_spent() {
    on(Flavour::Workers(1), async {
        let ready = create_task(async {});
        settle().await;
        let rounds = Arc::new(AtomicUsize::new(0));
        let counter = rounds.clone();
        let sibling = create_task(async move {
            loop {
                counter.fetch_add(1, Relaxed);
                yield_now().await;
            }
        });
        // It was lifted after a thousand polls; each is some hundred operations long.
        let mut operations = 0;
        while rounds.load(Relaxed) < 3000 {
            (&ready).await;
            operations += 1;
            assert!(operations < 2_000_000, "the other runs no more, after {} rounds", rounds.load(Relaxed));
        }
        sibling.cancel();
    });
}

/// A watcher that waited in the poller as if everybody were idle waited without limit, and did not watch.
#[test]
fn the_child_of_a_task_that_blocks_is_taken_by_an_idle_worker() {
    let runner = asyncio::Runner::builder().worker_threads(2).build().unwrap();
    let event_loop = runner.get_loop();
    // From a thread outside, as the workers are to fall asleep in between.
    let rounds = move || {
        for round in 0..10 {
            // The one at the poller comes back once...
            drop(event_loop.create_task(asyncio::sleep(millis(5))));
            thread::sleep(millis(30));
            // ... is made the watcher, has nothing to look after, and all are idle.
            drop(event_loop.create_task(async { create_task(async {}).await }));
            thread::sleep(millis(15));
            let blocks = event_loop.create_task(async {
                let (ran, is_run) = mpsc::channel();
                drop(create_task(async move { ran.send(()) }));
                // It is next on this worker, which doesn't come to it. In the order of events it is first.
                is_run.recv_timeout(secs(10))
            });
            assert!(happens(|| blocks.done()));
            assert_eq!(blocks.try_result().unwrap(), Ok(()), "nobody took the child in round {round}");
        }
    };
    within_patience("2 workers", || runner.run(asyncio::to_thread(rounds)).unwrap());
}

/// While the list of tasks is being made, in parts, others come and go, and its shards grow and shrink.
#[test]
fn all_tasks_has_each_task_that_stays_once_while_others_come_and_go() {
    on(Flavour::Workers(4), async {
        let stay: Vec<_> = (0..3000).map(|_| create_task(pending::<()>())).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let come_and_go = |burst: usize| {
            let stop = stop.clone();
            create_task(async move {
                while !stop.load(Relaxed) {
                    asyncio::gather((0..burst).map(|_| create_task(async {})).collect::<Vec<_>>()).await;
                }
            })
        };
        let others = [come_and_go(1), come_and_go(30), come_and_go(1500)];
        for _ in 0..50 {
            let listed = asyncio::all_tasks();
            let ids: HashSet<_> = listed.iter().map(|task| task.id()).collect();
            assert_eq!(ids.len(), listed.len(), "a task was listed twice");
            assert!(stay.iter().all(|task| ids.contains(&task.id())), "a task that stays was left out");
            yield_now().await;
        }
        stop.store(true, Relaxed);
        asyncio::gather(others).await;
    });
}

// === waiting for tasks ===

/// Each suspension of an awaiter looked through all the others: 40 000 took half a second, twice as many four times that.
#[test]
fn forty_thousand_await_one_shared_task() {
    for flavour in [Flavour::CurrentThread, Flavour::Workers(2)] {
        on(flavour, async {
            let one = create_task(turns(4)).shared();
            let awaiters: Vec<_> =
                (0..40_000).map(|_| create_task(IntoFuture::into_future(one.clone()))).collect();
            for awaiter in awaiters {
                awaiter.await;
            }
        });
    }
}

/// A cancellation followed the note of what its task waits for, to a task that was freed. (A crash, if any.)
#[test]
fn a_task_dropped_in_the_poll_that_awaited_it_is_not_asked_to_end() {
    on_one_thread(async || {
        let task = create_task(turns(1));
        let awaiter = create_task(async move {
            let mut task = Some(task);
            poll_fn(move |cx| {
                if let Some(mut task) = task.take() {
                    assert!(Pin::new(&mut task).poll(cx).is_pending());
                }
                Poll::<()>::Pending
            })
            .await;
        });
        settle().await;
        assert!(awaiter.cancel());
        settle().await;
        assert!(awaiter.cancelled());
    });
}

/// The first who looked took what the panic carried, and who awaited the task had its text only.
#[test]
fn a_panic_that_was_looked_at_keeps_its_payload_for_the_awaiter() {
    on_one_thread(async || {
        let task: Task<()> = create_task(async { resume_unwind(Box::new(42_u32)) });
        settle().await;
        let looked = task.try_result();
        assert!(matches!(looked, Err(ResultError::Task(TaskError::Panicked(_)))), "{looked:?}");
        let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!("it panicked") };
        assert_eq!(*panic.into_payload().downcast::<u32>().expect("the payload itself"), 42);
    });
}

/// A destructor that panicked went past the clean-up.
#[test]
fn the_clean_up_runs_though_dropping_the_work_panics() {
    on_one_thread(async || {
        for returns in [true, false] {
            let bomb = Bomb;
            let work = poll_fn(move |_| {
                let _holds = &bomb;
                if returns { Poll::Ready(()) } else { Poll::Pending }
            });
            let cleaned_up = Arc::new(AtomicBool::new(false));
            let ran = cleaned_up.clone();
            let clean_up = async move {
                yield_now().await;
                ran.store(true, Relaxed);
            };
            let task = create_task(finally(work, clean_up));
            settle().await;
            task.cancel();
            let Err(TaskError::Panicked(panic)) = task.outcome().await else { panic!("the drop panicked") };
            assert_eq!(panic.message(), "dropped");
            assert!(cleaned_up.load(Relaxed), "the clean-up did not run; the work returns: {returns}");
        }
    });
}

/// A waker that panics when a child ends concerns neither the child nor the worker.
#[test]
fn gather_outlives_a_waker_that_panics() {
    struct Panics(AtomicBool);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
            resume_unwind(Box::new("waker"));
        }
    }
    on_one_thread(async || {
        let mut all = pin!(asyncio::gather([create_task(turns(3))]).into_future());
        let panics = Arc::new(Panics(AtomicBool::new(false)));
        let waker = Waker::from(panics.clone());
        assert!(all.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        settle().await;
        assert!(panics.0.load(Relaxed), "it should have been woken");
        all.await;
    });
}

// === cancellation ===

/// The awaited task was just ending with a value when it was asked to end: nobody had swallowed the request, but it was gone.
#[test]
fn a_cancellation_is_not_lost_while_the_awaited_task_ends() {
    const RUNS: usize = 1;
    const IS_AWAITED: usize = 2;
    const MAY_END: usize = 3;
    let runner = asyncio::Runner::builder().worker_threads(4).build().unwrap();
    let event_loop = runner.get_loop();
    let rounds = move || {
        // Who lists many tasks keeps others, for a moment, from ending.
        let _idle: Vec<_> = (0..50_000).map(|_| event_loop.create_task(pending::<()>())).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let lister = thread::spawn({
            let (event_loop, stop) = (event_loop.clone(), stop.clone());
            move || {
                while !stop.load(Relaxed) {
                    drop(event_loop.all_tasks());
                }
            }
        });
        let round = |round: usize| {
            let stage = Arc::new(AtomicUsize::new(0));
            let reaches = |which| assert!(happens(|| stage.load(SeqCst) == which));
            let seen = stage.clone();
            let task = event_loop.create_task(async move {
                seen.store(RUNS, SeqCst);
                while seen.load(SeqCst) != MAY_END {
                    thread::yield_now();
                }
            });
            reaches(RUNS);
            let seen = stage.clone();
            let awaiter = event_loop.create_task(async move {
                seen.store(IS_AWAITED, SeqCst);
                task.await;
                pending::<()>().await
            });
            reaches(IS_AWAITED);
            thread::sleep(millis(1));
            stage.store(MAY_END, SeqCst);
            for _ in 0..round % 50 * 20 {
                std::hint::spin_loop();
            }
            assert!(awaiter.cancel(), "it can't have ended");
            awaiter
        };
        let began = Instant::now();
        let asked: Vec<_> = (0..300).take_while(|_| began.elapsed() < secs(3)).map(round).collect();
        stop.store(true, Relaxed);
        lister.join().unwrap();
        happens(|| asked.iter().all(|awaiter| awaiter.done()));
        let lost = asked.iter().filter(|awaiter| !awaiter.cancelled()).count();
        assert_eq!(lost, 0, "of {} cancellations, so many were lost", asked.len());
    };
    within_patience("4 workers", || runner.run(asyncio::to_thread(rounds)).unwrap());
}

/// The request comes between a child's `Err` and the pass in which the gather is told: CPython's goes to the children that are
/// left, and the awaiter gets the error. A worker tells the gather at once, and the request is for the awaiter; it was lost.
#[test]
fn a_request_before_a_gather_is_told_is_for_its_children() {
    let test = async |in_passes: bool| {
        let fails = create_task(async {
            turns(6).await;
            Err::<(), ()>(())
        });
        let runs_on = create_task(pending::<Result<(), ()>>());
        let (failed, other) = (fails.handle(), runs_on.handle());
        let (set_awaiter, awaiter) = mpsc::channel::<TaskHandle>();
        // It waits for the same end, and comes first.
        let cancels = create_task(async move {
            failed.wait_end().await;
            awaiter.recv().unwrap().cancel()
        });
        turns(2).await;
        let awaiter = create_task(async {
            let _ = asyncio::try_gather([fails, runs_on]).await;
            settle().await;
        });
        set_awaiter.send(awaiter.handle()).unwrap();
        settle().await;
        assert!(cancels.await, "the awaiter had not ended");
        settle().await;
        assert!(awaiter.done());
        assert_eq!((awaiter.cancelled(), other.cancelled()), (!in_passes, in_passes));
    };
    on(Flavour::CurrentThread, test(true));
    on(Flavour::Workers(1), test(false));
}

/// After an unrelated wake-up the awaiter took the end it had asked for itself for somebody else's doing.
#[test]
fn an_own_request_is_raised_though_the_awaiter_was_woken_in_between() {
    on_one_thread(async || {
        let (gate, unrelated) = (Gate::default(), Gate::default());
        let task = slow_to_end(&gate);
        let (mut outcome, mut polled_too) = (task.outcome(), unrelated.clone());
        let both = poll_fn(move |cx| {
            let _ = Pin::new(&mut polled_too).poll(cx);
            Pin::new(&mut outcome).poll(cx)
        });
        let awaiter = create_task(async { both.await.is_err() });
        settle().await;
        awaiter.cancel();
        settle().await;
        unrelated.wake();
        settle().await;
        gate.open();
        settle().await;
        assert!(awaiter.cancelled(), "done: {}", awaiter.done());
    });
}

/// What the request had been passed on to lost the race: the awaiter, never cancelled, went on.
#[test]
fn a_request_comes_back_when_the_task_it_went_to_is_dropped() {
    on_one_thread(async || {
        let _ =
            cancel_and_let_the_gate_win(Race { gate_first: true, turns_after: 3, ..Race::default() }).await;
    });
}

/// The task with the request was dropped, and the awaiter ready, in one poll: it ended with its value.
#[test]
fn a_request_that_comes_back_in_the_last_poll_is_delivered() {
    on_one_thread(async || {
        let _ = cancel_and_let_the_gate_win(Race::default()).await;
    });
}

/// A request that came back had lost its message.
#[test]
fn a_request_that_comes_back_keeps_its_message() {
    on_one_thread(async || {
        let race = Race { third: true, turns_after: 3, ..Race::default() };
        assert_eq!(cancel_and_let_the_gate_win(race).await.message(), Some("bye"));
    });
}

/// So had one that went past the awaiter at once, along its await link.
#[test]
fn a_request_that_comes_back_over_a_link_keeps_its_message() {
    on_one_thread(async || {
        let race = Race { turns_after: 3, ..Race::default() };
        assert_eq!(cancel_and_let_the_gate_win(race).await.message(), Some("bye"));
    });
}

/// Whoever is told first of a task's end, on the same loop, cancels another awaiter: `false`, and it ran on.
#[test]
fn an_awaiter_can_be_cancelled_while_the_end_is_being_told() {
    struct Cancels(OnceLock<TaskHandle>, Mutex<Option<bool>>);
    impl Wake for Cancels {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = Some(self.0.get().unwrap().cancel());
        }
    }
    on_one_thread(async || {
        let task = create_task(turns(10)).shared();
        let mut first = task.clone();
        let cancels = Arc::new(Cancels(OnceLock::new(), Mutex::new(None)));
        let waker = Waker::from(cancels.clone());
        assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
        let awaiter = create_task(async move {
            task.await;
            pending::<()>().await
        });
        turns(3).await;
        cancels.0.set(awaiter.handle()).unwrap();
        settle().await;
        assert_eq!(*cancels.1.lock().unwrap(), Some(true), "the awaiter had not ended");
        assert!(awaiter.cancelled(), "done: {}", awaiter.done());
    });
}

/// A future remembers by its address whose request it passed on: the next task there is not to be taken for that one.
#[test]
fn a_new_task_at_the_address_of_a_cancelled_one_is_not_cancelled() {
    // Where requests follow links, the first would not be polled.
    on(Flavour::Workers(1), async {
        for _ in 0..20 {
            let mut task = create_task(async {
                // Swallows the request.
                let _ = catch_cancelled(pending::<()>()).await;
                pending::<()>().await
            });
            let mut first = create_task(async move {
                let mut polls = 0;
                poll_fn(|cx| {
                    assert!(Pin::new(&mut task).poll(cx).is_pending());
                    polls += 1;
                    if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                Some(task)
            });
            turns(3).await;
            first.cancel();
            settle().await;
            let Some(Ok(task)) = first.try_take() else { panic!("it should give the task back") };
            drop(first);
            let second = create_task(async {
                drop(task);
                turns(5).await;
            });
            settle().await;
            assert!(second.done() && !second.cancelled(), "nobody cancelled it");
        }
    });
}

// === Ctrl-C ===

#[cfg(target_os = "linux")]
mod ctrl_c {
    use std::process::Command;

    use kumihimo as asyncio;
    use kumihimo::net::{Signal, SignalKind};
    use rustix::process;

    /// What tells this program, started once more, to be the one that gets Ctrl-C.
    const INSIDE: &str = "KUMIHIMO_TEST_CTRL_C";

    /// The test harness has the main thread, and only there does `run` see to Ctrl-C: so this is before `main`.
    #[used]
    #[unsafe(link_section = ".init_array")]
    static BEFORE_MAIN: extern "C" fn() = {
        extern "C" fn before_main() {
            if std::env::var_os(INSIDE).is_some() {
                listen_after_a_run();
                std::process::exit(0);
            }
        }
        before_main
    };

    fn listen_after_a_run() {
        asyncio::run(async {});
        // On another thread it is nobody's but the `Signal`'s.
        let listens = || {
            asyncio::run(async {
                let mut signal = Signal::new(SignalKind::INTERRUPT).unwrap();
                process::kill_process(process::getpid(), process::Signal::INT).unwrap();
                signal.recv().await.unwrap();
            });
        };
        std::thread::spawn(listens).join().unwrap();
        println!("survived");
    }

    /// A `run` that was over still gave Ctrl-C its default meaning, the end of the process, whoever else listened.
    #[test]
    fn is_a_signals_own_after_a_run() {
        if crate::support::processes::ignores_sigint() {
            println!("skipped: SIGINT is ignored here, and children inherit that");
            return;
        }
        let output = Command::new(std::env::current_exe().unwrap()).env(INSIDE, "yes").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"survived\n");
    }
}
