//! The futures that trees stand for, and runs of them.

use std::future::{Future, Pending};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{BoxFuture, Either, abortable, join_all, ready, select};
use futures_util::stream::{self, FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use kumihimo as asyncio;
use kumihimo::{Instant, TaskError, catch_cancelled, finally};

use super::support::{Flavour, millis, on, secs};
use super::tree::{End, Events, Join, Node, What, Wrapper};

/// Where futures note what happens to them.
#[derive(Clone)]
struct Log {
    start: Instant,
    events: Arc<Mutex<Events>>,
}

impl Log {
    fn time(&self) -> u64 {
        (Instant::now() - self.start).as_millis() as u64
    }

    fn note(&self, node: usize, what: What) {
        self.events.lock().unwrap().0.push((self.time(), node, what));
    }
}

/// The future of a node.
struct Noted {
    log: Log,
    node: usize,
    begun: bool,
    ended: bool,
    future: BoxFuture<'static, ()>,
}

impl Future for Noted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun {
            self.begun = true;
            self.log.note(self.node, What::Begun);
        }
        let polled = self.future.as_mut().poll(cx);
        if polled.is_ready() {
            self.ended = true;
            self.log.note(self.node, What::Ended);
        }
        polled
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if self.begun && !self.ended {
            self.log.note(self.node, What::Dropped);
        }
    }
}

/// The future of a tree whose first node has the number `next`.
fn build(tree: &Node, next: &mut usize, log: &Log) -> Noted {
    let (node, log) = (*next, log.clone());
    *next += 1;
    let future = match tree {
        Node::Sleep(time) => asyncio::sleep(millis(*time)).boxed(),
        Node::Task(time, clean_up) => {
            let (time, clean_up) = (millis(*time), clean(&log, node, *clean_up));
            async move { asyncio::create_task(finally(asyncio::sleep(time), clean_up)).await }.boxed()
        }
        Node::Panic(time) => {
            let time = millis(*time);
            async move {
                asyncio::sleep(time).await;
                resume_unwind(Box::new("planted"))
            }
            .boxed()
        }
        Node::Wrap(wrapper, inside) => wrap(*wrapper, build(inside, next, &log)),
        Node::Join(kind, branches) => {
            join(*kind, branches.iter().map(|branch| build(branch, next, &log)).collect())
        }
        Node::Finally(time, inside) => finally(build(inside, next, &log), clean(&log, node, *time)).boxed(),
        Node::OrSpawn(time, inside) => {
            finally(build(inside, next, &log), clean(&log, node, *time)).or_spawn().boxed()
        }
        Node::Catch(inside) => {
            let (inside, log) = (build(inside, next, &log), log.clone());
            let catch = async move {
                if catch_cancelled(inside).await.is_err() {
                    log.note(node, What::Caught);
                }
            };
            catch.boxed()
        }
        Node::Select(left, right) => {
            let (left, right) = (build(left, next, &log), build(right, next, &log));
            select(left, right).map(drop).boxed()
        }
    };
    Noted { log, node, begun: false, ended: false, future }
}

fn clean(log: &Log, node: usize, time: u64) -> impl Future<Output = ()> + Send + 'static {
    let log = log.clone();
    async move {
        log.note(node, What::CleanUp);
        asyncio::sleep(millis(time)).await;
        log.note(node, What::CleanedUp);
    }
}

fn wrap(wrapper: Wrapper, inside: Noted) -> BoxFuture<'static, ()> {
    match wrapper {
        Wrapper::Boxed => inside.boxed(),
        Wrapper::Shared => inside.shared().boxed(),
        Wrapper::Either => Either::<_, Pending<()>>::Left(inside).boxed(),
        Wrapper::Abortable => {
            let (inside, _handle) = abortable(inside);
            inside.map(|ended| ended.expect("nobody aborts it")).boxed()
        }
        Wrapper::CatchUnwind => {
            let caught = AssertUnwindSafe(inside).catch_unwind();
            caught.map(|ended| ended.unwrap_or_else(|payload| resume_unwind(payload))).boxed()
        }
        Wrapper::Stream => {
            let mut stream = inside.into_stream();
            async move { stream.next().await.expect("one item") }.boxed()
        }
    }
}

fn join(kind: Join, branches: Vec<Noted>) -> BoxFuture<'static, ()> {
    match kind {
        Join::Plain if branches.len() == 2 => {
            let [left, right] = <[Noted; 2]>::try_from(branches).unwrap_or_else(|_| unreachable!());
            async move { _ = futures_util::join!(left, right) }.boxed()
        }
        Join::Plain => join_all(branches).map(drop).boxed(),
        Join::OwnWakers | Join::Backwards | Join::WokenOnly => ByHand::new(kind, branches).boxed(),
        Join::Unordered => branches.into_iter().collect::<FuturesUnordered<_>>().collect().boxed(),
        Join::Ordered => branches.into_iter().collect::<FuturesOrdered<_>>().collect().boxed(),
        Join::Large => {
            let others = (0..40).map(|_| ready(()).left_future());
            join_all(others.chain(branches.into_iter().map(Either::Right))).map(drop).boxed()
        }
        Join::Buffered => {
            let at_once = branches.len();
            stream::iter(branches).buffer_unordered(at_once).collect().boxed()
        }
    }
}

/// A join as people write them: each branch has a waker of its own.
struct ByHand {
    kind: Join,
    branches: Vec<(Option<Noted>, Arc<Branch>)>,
}

#[derive(Default)]
struct Branch {
    woken: AtomicBool,
    join: Mutex<Option<Waker>>,
}

impl Wake for Branch {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Relaxed);
        let join = self.join.lock().unwrap().clone();
        join.inspect(Waker::wake_by_ref);
    }
}

impl ByHand {
    fn new(kind: Join, branches: Vec<Noted>) -> ByHand {
        let branch =
            |branch| (Some(branch), Arc::new(Branch { woken: AtomicBool::new(true), ..Branch::default() }));
        ByHand { kind, branches: branches.into_iter().map(branch).collect() }
    }
}

impl Future for ByHand {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let kind = self.kind;
        if kind == Join::Backwards {
            self.branches.reverse();
        }
        for (slot, branch) in &mut self.branches {
            *branch.join.lock().unwrap() = Some(cx.waker().clone());
            let woken = branch.woken.swap(false, Relaxed);
            let Some(future) = slot.as_mut().filter(|_| woken || kind != Join::WokenOnly) else { continue };
            let waker = branch.clone().into();
            if future.poll_unpin(&mut Context::from_waker(&waker)).is_ready() {
                *slot = None;
            }
        }
        if kind == Join::Backwards {
            self.branches.reverse();
        }
        if self.branches.iter().all(|(slot, _)| slot.is_none()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A run of a tree.
pub(crate) struct Run {
    pub(crate) end: End,
    /// Whether a request to cancel it came before its end.
    pub(crate) requested: bool,
    pub(crate) events: Events,
}

/// Runs a tree as a task, with a time-out if there is one, and requests to cancel it at these times (in order).
pub(crate) fn run(flavour: Flavour, tree: &Node, timeout: Option<u64>, requests: &[u64]) -> Run {
    on(flavour, async {
        let log = Log { start: Instant::now(), events: Arc::default() };
        let root = build(tree, &mut 0, &log);
        let task = asyncio::create_task(async move {
            match timeout {
                Some(time) => asyncio::wait_for(root, millis(time)).await.is_ok(),
                None => root.map(|()| true).await,
            }
        });
        let mut requested = false;
        for time in requests {
            asyncio::sleep_until(log.start + millis(*time)).await;
            requested |= task.cancel();
        }
        let outcome = task.outcome().await;
        let time = log.time();
        // What was detached or spawned ends meanwhile.
        asyncio::sleep(secs(10)).await;
        let end = match outcome {
            Ok(true) => End::Value,
            Ok(false) => End::TimedOut(time),
            Err(TaskError::Cancelled(_)) => End::Cancelled(time),
            Err(TaskError::Panicked(_)) => End::Panicked(time),
        };
        let events = std::mem::take(&mut *log.events.lock().unwrap());
        Run { end, requested, events }
    })
}
