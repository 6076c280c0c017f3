//! A small executor, strict about wake-ups: it polls only what was woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kumihimo_reactor::{Backend, Reactor, Turn, sleep};

/// How long any of these tests may wait: one that needs longer has lost a wake-up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Executor {
    pub(crate) reactor: Reactor,
    tasks: Vec<Task>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

/// A waker that notes that it was woken, and ends the turn that waits.
pub(crate) struct Woken {
    flag: AtomicBool,
    pub(crate) count: AtomicUsize,
    reactor: Reactor,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::Release);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.reactor.interrupt();
    }
}

impl Executor {
    pub(crate) fn new(backend: Backend) -> Executor {
        Executor { reactor: Reactor::with_backend(1, backend).unwrap(), tasks: Vec::new() }
    }

    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let woken = self.woken();
        woken.flag.store(true, Ordering::Release);
        self.tasks.push(Task { future: Box::pin(future), woken });
    }

    pub(crate) fn woken(&self) -> Arc<Woken> {
        Arc::new(Woken {
            flag: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            reactor: self.reactor.clone(),
        })
    }

    /// Polls each task that was woken, once; true if there was any.
    pub(crate) fn poll_woken(&mut self) -> bool {
        let mut any = false;
        self.tasks.retain_mut(|task| {
            if !task.woken.flag.swap(false, Ordering::AcqRel) {
                return true;
            }
            any = true;
            let waker = Waker::from(task.woken.clone());
            task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        });
        any
    }

    /// Runs until all tasks are done.
    pub(crate) fn run(&mut self) {
        let _entered = self.reactor.enter(0);
        let mut watchdog = Box::pin(sleep(PATIENCE));
        while !self.tasks.is_empty() {
            if !self.poll_woken() {
                let timed_out = watchdog.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(timed_out.is_pending(), "{} tasks were not woken", self.tasks.len());
                self.reactor.turn(Turn::Wait);
            }
        }
    }

    /// Runs one future, and the tasks beside it until that is done.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let _entered = self.reactor.enter(0);
        let mut watchdog = Box::pin(sleep(PATIENCE));
        let mut future = std::pin::pin!(future);
        let woken = self.woken();
        let waker = Waker::from(woken.clone());
        woken.flag.store(true, Ordering::Release);
        loop {
            if woken.flag.swap(false, Ordering::AcqRel)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            if !self.poll_woken() && !woken.flag.load(Ordering::Acquire) {
                let timed_out = watchdog.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(timed_out.is_pending(), "the future was not woken");
                self.reactor.turn(Turn::Wait);
            }
        }
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
