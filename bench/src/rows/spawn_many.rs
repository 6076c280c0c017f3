//! Detached tasks by the ten thousand: spawned from a task, from outside, and from outside while all is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_lite::future::block_on;

use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::measure::{Plan, Sample, Stopwatch, spin};
use crate::runtimes::{Remote, Runtime};

/// Tasks per round.
const TASKS: usize = 10_000;
/// Rounds.
const ROUNDS: usize = 10;
/// What the busy workers do between two looks at their queues.
const BUSY: Duration = Duration::from_micros(10);

/// Counts the tasks of a round.
static SPAWNED: Countdown = Countdown::new();
/// Counts the self-respawning tasks that have not stopped yet.
static BUSY_TASKS: Countdown = Countdown::new();
/// Tells the self-respawning tasks to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// spawn_many_local
pub(crate) struct Local;

impl Row for Local {
    const NAME: &'static str = "spawn_many_local";
    const OPERATION: &'static str = "task";
    const WORK: &'static str =
        "from one task: 10 rounds of 10 000 detached tasks that count down; the last one wakes the spawner";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let rounds = plan.of(ROUNDS);
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            let all = SPAWNED.arm(TASKS);
            for _ in 0..TASKS {
                rt.detach(async { SPAWNED.tick() });
            }
            all.await?;
        }
        Ok(watch.per(rounds * TASKS))
    }
}

/// spawn_many_remote_idle
pub(crate) struct RemoteIdle;

impl Row for RemoteIdle {
    const NAME: &'static str = "spawn_many_remote_idle";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "the same, spawned from a thread that is no worker";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        spawn_from_outside(rt, plan.of(ROUNDS), TASKS).await
    }
}

/// spawn_many_remote_busy
pub(crate) struct RemoteBusy;

impl Row for RemoteBusy {
    const NAME: &'static str = "spawn_many_remote_busy";
    const OPERATION: &'static str = "task";
    const WORK: &'static str =
        "one such round while as many self-respawning 10 µs tasks run as there are workers";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let stopped = BUSY_TASKS.arm(plan.workers);
        STOP.store(false, Ordering::Relaxed);
        for _ in 0..plan.workers {
            respawn(rt);
        }
        // One round: a scheduler that looks outside rarely takes 100 µs for each of these tasks.
        let sample = spawn_from_outside(rt, 1, plan.of(TASKS)).await;
        STOP.store(true, Ordering::Relaxed);
        stopped.await?;
        sample
    }
}

/// So many rounds of so many tasks, spawned by a plain thread.
async fn spawn_from_outside<R: Runtime>(rt: R, rounds: usize, tasks: usize) -> Measured {
    let (result, measured) = oneshot::channel::<Sample>();
    let remote = rt.remote();
    let spawner = thread::spawn(move || {
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            let all = SPAWNED.arm(tasks);
            for _ in 0..tasks {
                remote.detach(async { SPAWNED.tick() });
            }
            block_on(all).expect("the last task sends");
        }
        let _ = result.send(watch.per(rounds * tasks));
    });
    let sample = measured.await?;
    spawner.join().expect("the spawner has sent its result");
    Ok(sample)
}

/// One task that works for 10 µs and then spawns its like.
fn respawn<R: Runtime>(rt: R) {
    rt.detach(async move {
        spin(BUSY);
        if STOP.load(Ordering::Relaxed) { BUSY_TASKS.tick() } else { respawn(rt) }
    });
}
