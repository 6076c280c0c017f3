//! Clocks, medians and percentiles.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::family;

/// What one turn of one contender measured: a value per metric of the row, in the row's order.
pub(crate) type Sample = Vec<f64>;

/// One measured quantity; less is better for every one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metric {
    /// Nanoseconds of wall time per operation.
    Wall,
    /// Nanoseconds of CPU time of the whole process, user and system, per operation; of the process pools' rows, of
    /// the processes that it started too.
    Cpu,
    /// Median latency or lateness, in nanoseconds.
    P50,
    /// 99th percentile, in nanoseconds.
    P99,
    /// 99.9th percentile, in nanoseconds.
    P999,
    /// Resident bytes per task.
    Bytes,
    /// Nanoseconds of CPU time used over the whole idle period.
    IdleCpu,
}

/// How much of a row's work to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// All of it.
    Full,
    /// A tenth: shows that it runs.
    Quick,
    /// What a contender does untimed before its turn: starts threads, warms caches and the allocator.
    WarmUp,
}

/// How a turn is to be done.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Threads of the runtime.
    pub(crate) workers: usize,
    /// How much of the work.
    pub(crate) scale: Scale,
}

impl Plan {
    /// The untimed turn before this one.
    pub(crate) fn warm_up(self) -> Plan {
        Plan { scale: Scale::WarmUp, ..self }
    }

    /// This turn's share of `full` repetitions, at least one.
    pub(crate) fn of(self, full: usize) -> usize {
        (full / self.divisor()).max(1)
    }

    /// This turn's share of a period.
    pub(crate) fn period(self, full: Duration) -> Duration {
        // A latency needs some time to show, however quick the run.
        full / if self.scale == Scale::Full { 1 } else { 4 }
    }

    /// The share's denominator.
    fn divisor(self) -> usize {
        match self.scale {
            Scale::Full => 1,
            Scale::Quick => 10,
            Scale::WarmUp => 20,
        }
    }
}

/// Wall and CPU time since its start.
pub(crate) struct Stopwatch {
    /// When it started.
    wall: Instant,
    /// The process's CPU time at that moment.
    cpu: Duration,
    /// That of the processes that it had started, if they count.
    family: Option<Duration>,
}

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Stopwatch {
        Stopwatch { family: None, cpu: process_cpu(), wall: Instant::now() }
    }

    /// Starts now; the CPU time will be that of this process and of those that it has started and that live when
    /// the time is taken.
    pub(crate) fn of_family() -> Stopwatch {
        // Looking at the others takes time, which is not to count.
        Stopwatch { family: Some(family::cpu()), ..Stopwatch::start() }
    }

    /// Wall and CPU nanoseconds per operation since the start.
    pub(crate) fn per(&self, operations: usize) -> Sample {
        let wall = self.wall.elapsed();
        let mut cpu = process_cpu().saturating_sub(self.cpu);
        if let Some(before) = self.family {
            cpu += family::cpu().saturating_sub(before);
        }
        [wall, cpu].map(|time| time.as_nanos() as f64 / operations as f64).to_vec()
    }
}

/// The CPU time this process has used, user and system, all threads: what getrusage sums, in nanoseconds.
pub(crate) fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Spends `time` on the CPU without yielding.
pub(crate) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The median; of an even number of values the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The 50th, 99th and 99.9th percentile (nearest rank), as metrics `P50`, `P99` and `P999` want them.
pub(crate) fn percentiles(mut nanoseconds: Vec<u64>) -> Sample {
    nanoseconds.sort_unstable();
    let rank = |share: f64| {
        let index = (nanoseconds.len() as f64 * share).ceil() as usize;
        nanoseconds.get(index.max(1) - 1).map_or(f64::NAN, |&value| value as f64)
    };
    vec![rank(0.5), rank(0.99), rank(0.999)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        assert_eq!(percentiles((1..=1000).rev().collect()), [500.0, 990.0, 999.0]);
        assert_eq!(percentiles(vec![7]), [7.0, 7.0, 7.0]);
    }

    #[test]
    fn every_scale_does_something() {
        for scale in [Scale::Full, Scale::Quick, Scale::WarmUp] {
            let plan = Plan { workers: 1, scale };
            assert_eq!(plan.of(1), 1);
            assert!(plan.of(1000) >= 50);
        }
    }

    #[test]
    fn cpu_time_passes_while_spinning() {
        let before = process_cpu();
        spin(Duration::from_millis(20));
        assert!(process_cpu() - before >= Duration::from_millis(5));
    }
}
