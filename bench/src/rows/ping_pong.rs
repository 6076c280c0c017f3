//! Pairs of tasks that wait for each other.

use futures_channel::oneshot;

use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::Runtime;

/// Pairs per round.
const PAIRS: usize = 1_000;
/// Rounds.
const ROUNDS: usize = 20;

/// Counts the pairs of a round.
static PAIRS_DONE: Countdown = Countdown::new();

/// ping_pong
pub(crate) struct PingPong;

impl Row for PingPong {
    const NAME: &'static str = "ping_pong";
    const OPERATION: &'static str = "pair";
    const WORK: &'static str =
        "20 x 1000 tasks, each with a child and two oneshots (futures-channel), exchanging both ways";
    const SCHEDULING: bool = true;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let rounds = plan.of(ROUNDS);
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            let all = PAIRS_DONE.arm(PAIRS);
            for _ in 0..PAIRS {
                rt.detach(exchange(rt));
            }
            all.await?;
        }
        Ok(watch.per(rounds * PAIRS))
    }
}

/// Starts a child, sends to it, and waits for its answer.
async fn exchange<R: Runtime>(rt: R) {
    let (ping, pinged) = oneshot::channel::<()>();
    let (pong, ponged) = oneshot::channel::<()>();
    rt.detach(async move {
        pinged.await.expect("the parent sends");
        pong.send(()).expect("the parent waits");
    });
    ping.send(()).expect("the child waits");
    ponged.await.expect("the child sends");
    PAIRS_DONE.tick();
}
