//! Each task spawns the next.

use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Tasks in a chain.
const LENGTH: usize = 1_000;
/// Chains, one after the other.
const CHAINS: usize = 100;

/// Ticked by the last task of a chain.
static CHAIN: Countdown = Countdown::new();

/// chained_spawn
pub(crate) struct ChainedSpawn;

impl Row for ChainedSpawn {
    const NAME: &'static str = "chained_spawn";
    const OPERATION: &'static str = "task";
    const WORK: &'static str = "100 chains of 1000 tasks, each spawning the next";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let chains = plan.of(CHAINS);
        let watch = Stopwatch::start();
        for _ in 0..chains {
            let end = CHAIN.arm(1);
            link(rt, LENGTH);
            end.await?;
        }
        Ok(watch.per(chains * LENGTH))
    }
}

/// Spawns one task of a chain that has `left` to go.
fn link<R: Runtime>(rt: R, left: usize) {
    rt.detach(async move { if left == 1 { CHAIN.tick() } else { link(rt, left - 1) } });
}
