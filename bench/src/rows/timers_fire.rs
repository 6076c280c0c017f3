//! Timers that fire, and how late.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::measure::{Metric, Plan, Stopwatch, percentiles};
use crate::runtimes::Runtime;

/// Tasks that sleep.
const TASKS: usize = 100_000;
/// The longest sleep.
const LONGEST: Duration = Duration::from_millis(100);

/// Counts the tasks.
static AWAKE: Countdown = Countdown::new();
/// How late each task woke, in nanoseconds: its own slot, so that noting it disturbs nobody.
static LATENESS: OnceLock<Vec<AtomicU64>> = OnceLock::new();

/// timers_fire
pub(crate) struct TimersFire;

impl Row for TimersFire {
    const NAME: &'static str = "timers_fire";
    const OPERATION: &'static str = "timer";
    const WORK: &'static str =
        "100 000 tasks, each sleeping 0 to 100 ms at random; also the distribution of lateness";
    const METRICS: &'static [Metric] = &[Metric::Wall, Metric::Cpu, Metric::P50, Metric::P99, Metric::P999];

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let tasks = plan.of(TASKS);
        let lateness = LATENESS.get_or_init(|| (0..TASKS).map(|_| AtomicU64::new(0)).collect());
        let mut times = fastrand::Rng::with_seed(100);
        let watch = Stopwatch::start();
        let all = AWAKE.arm(tasks);
        for slot in &lateness[..tasks] {
            let time = Duration::from_nanos(times.u64(0..LONGEST.as_nanos() as u64));
            rt.detach(async move {
                let due = Instant::now() + time;
                rt.sleep(time).await;
                let late = Instant::now().checked_duration_since(due).expect("no sleep ends early");
                // Relaxed: the countdown orders it before the reading below.
                slot.store(late.as_nanos() as u64, Ordering::Relaxed);
                AWAKE.tick();
            });
        }
        all.await?;
        let mut sample = watch.per(tasks);
        let late = lateness[..tasks].iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
        sample.extend(percentiles(late));
        Ok(sample)
    }
}
