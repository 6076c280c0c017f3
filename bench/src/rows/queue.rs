//! A bounded queue of numbers: alone, many into one, and many into many.

use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::{Consumer, Contender, Producer, Runtime};

/// Items that the queue holds.
const CAPACITY: usize = 128;
/// Items of a task that is alone.
const ALONE: usize = 1_000_000;
/// Producers with one consumer.
const PRODUCERS: usize = 100;
/// Items of each of them.
const ITEMS: usize = 1_000;

/// Items that the queue between many and many holds: few, so that both sides wait.
const SMALL_CAPACITY: usize = 16;
/// Producers, and as many consumers.
const PAIRS: usize = 50;
/// Items that each puts, or gets.
const SHARE: usize = 10_000;

/// queue_one
pub(crate) struct One;

impl Row for One {
    const NAME: &'static str = "queue_one";
    const OPERATION: &'static str = "item";
    const WORK: &'static str = "one task, 1 000 000 times: put an item into a queue of 128, get it";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let items = plan.of(ALONE) as u64;
        let (producer, mut consumer) = rt.queue(CAPACITY);
        let watch = Stopwatch::start();
        for item in 0..items {
            producer.put(item).await;
            assert_eq!(consumer.get().await, item);
        }
        Ok(watch.per(items as usize))
    }
}

/// queue
pub(crate) struct ManyToOne;

impl Row for ManyToOne {
    const NAME: &'static str = "queue";
    const OPERATION: &'static str = "item";
    const WORK: &'static str = "100 producers x 1000 items into one queue of 128, one consumer";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let items = plan.of(ITEMS);
        let (producer, mut consumer) = rt.queue(CAPACITY);
        let watch = Stopwatch::start();
        let producers: Vec<_> = (0..PRODUCERS).map(|_| rt.spawn(produce(producer.clone(), items))).collect();
        assert_eq!(consume(&mut consumer, PRODUCERS * items).await, PRODUCERS as u64 * sum(items));
        for producer in producers {
            producer.await;
        }
        Ok(watch.per(PRODUCERS * items))
    }
}

/// queue_many
pub(crate) struct ManyToMany;

impl Row for ManyToMany {
    const NAME: &'static str = "queue_many";
    const OPERATION: &'static str = "item";
    const WORK: &'static str =
        "50 producers x 10 000 items into one queue of 16, 50 consumers; not tokio, whose queues have one";
    const WITHOUT: &'static [Contender] = &[Contender::Tokio];

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let items = plan.of(SHARE);
        let (producer, consumer) = rt.queue(SMALL_CAPACITY);
        let watch = Stopwatch::start();
        let (mut producers, mut consumers) = (Vec::with_capacity(PAIRS), Vec::with_capacity(PAIRS));
        for _ in 0..PAIRS {
            let mut consumer = consumer.another().ok_or("the queue has one consumer only")?;
            consumers.push(rt.spawn(async move { consume(&mut consumer, items).await }));
            producers.push(rt.spawn(produce(producer.clone(), items)));
        }
        let mut total = 0;
        for consumer in consumers {
            total += consumer.await;
        }
        for producer in producers {
            producer.await;
        }
        assert_eq!(total, PAIRS as u64 * sum(items));
        Ok(watch.per(PAIRS * items))
    }
}

/// Puts the numbers below `items`.
async fn produce<P: Producer>(producer: P, items: usize) {
    for item in 0..items as u64 {
        producer.put(item).await;
    }
}

/// Gets so many items and adds them up.
async fn consume<C: Consumer>(consumer: &mut C, items: usize) -> u64 {
    let mut total = 0;
    for _ in 0..items {
        total += consumer.get().await;
    }
    total
}

/// What one producer's items add up to.
fn sum(items: usize) -> u64 {
    (0..items as u64).sum()
}
