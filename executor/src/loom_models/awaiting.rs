//! The end of a task against its owners and its awaiters.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::Notify;
use loom::thread;

use super::check;
use super::stage::{Value, counter, drain, home, run, task};
use crate::task::{Observer, SharedTask, Task};

/// A task with this output, which it is about to give in its first step.
fn giver(home: &Arc<crate::scheduler::Shared>, number: u32, drops: &Arc<AtomicUsize>) -> Task<Value> {
    let value = Value::new(number, drops);
    task(home, async move { value })
}

fn runner(task: &Task<Value>) -> thread::JoinHandle<()> {
    let task = task.task();
    thread::spawn(move || run(task))
}

/// The owner lets go while the task ends: one of the two drops the output.
#[test]
fn the_owner_lets_go() {
    check(None, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        drop(giver);
        worker.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        assert_eq!(home.registry.len(), 0);
    });
}

/// Several owners on several threads, one of which clones the output: one drops it, after all clones were made.
#[test]
fn several_owners_let_go() {
    check(2, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let shared = giver.shared();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || match Task::from(shared).try_result() {
                Ok(value) => usize::from(value.read() == 7),
                Err(_) => 0,
            })
        };
        drop(shared.clone());
        drop(shared);
        let clones = other.join().unwrap();
        worker.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1 + clones);
    });
}

/// Two owners take the output by value: the last gets the original, and the other a clone.
#[test]
fn two_owners_take() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        run(giver.task());
        let shared = giver.shared();
        let others = [shared.clone(), shared].map(|shared| {
            thread::spawn(move || {
                let value = Task::from(shared).try_take().expect("it has ended").unwrap();
                assert_eq!(value.read(), 7);
            })
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        let drops = drops.load(SeqCst);
        assert!((2..=3).contains(&drops), "{drops} drops");
    });
}

/// A task awaits another that ends meanwhile: it is told, and has the output.
#[test]
fn one_awaiter() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let awaiter = task(&home, async move { giver.await.read() });
        run(awaiter.task());
        worker.join().unwrap();
        drain(&home);
        assert_eq!(awaiter.try_result().ok(), Some(7), "the awaiter was not told");
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// Two tasks await one that ends meanwhile: the lone waiter becomes a list, or is told before.
#[test]
fn two_awaiters() {
    check(2, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let shared = giver.shared();
        let awaiters = [shared.clone(), shared].map(|shared| task(&home, async move { shared.await.read() }));
        let other = {
            let task = awaiters[0].task();
            thread::spawn(move || run(task))
        };
        run(awaiters[1].task());
        other.join().unwrap();
        worker.join().unwrap();
        drain(&home);
        for awaiter in awaiters {
            assert_eq!(awaiter.try_result().ok(), Some(7), "an awaiter was not told");
        }
        assert_eq!(drops.load(SeqCst), 3);
    });
}

/// Awaits another task once, and gives up.
struct Once<F>(Option<F>);

impl<F: Future + Unpin> Future for Once<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _ = Pin::new(self.0.as_mut().expect("polled once")).poll(cx).is_ready();
        self.0 = None;
        Poll::Ready(())
    }
}

/// One awaiter gives up, and ends, while the other stays and the task ends.
#[test]
fn an_awaiter_gives_up() {
    check(2, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let shared = giver.shared();
        let quitter = task(&home, Once(Some(shared.clone())));
        let stayer = task(&home, async move { shared.await.read() });
        let other = {
            let task = quitter.task();
            drop(quitter);
            thread::spawn(move || run(task))
        };
        run(stayer.task());
        other.join().unwrap();
        worker.join().unwrap();
        drain(&home);
        assert_eq!(stayer.try_result().ok(), Some(7), "the awaiter that stayed was not told");
    });
}

/// The lone awaiter gives up, and is freed, while the task ends.
#[test]
fn the_lone_awaiter_gives_up() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let quitter = task(&home, Once(Some(giver)));
        let task = quitter.task();
        drop(quitter);
        run(task);
        worker.join().unwrap();
        drain(&home);
        assert_eq!(drops.load(SeqCst), 1);
        assert_eq!(home.registry.len(), 0);
    });
}

/// Awaits another task once, and gives it away, registration and all.
struct GiveAway(Option<Task<Value>>);

impl Future for GiveAway {
    type Output = Task<Value>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Task<Value>> {
        let mut task = self.0.take().expect("polled once");
        let _ = Pin::new(&mut task).poll(cx).is_ready();
        Poll::Ready(task)
    }
}

/// A task that was awaited halfway moves to another awaiter, or is forgotten, and who awaited it first is freed.
#[test]
fn a_registration_outlives_the_awaiter() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let blocker = Arc::new(Latch::default());
        let value = Value::new(7, &drops);
        let waits = blocker.clone();
        let giver = task(&home, async move {
            Opened(waits).await;
            value
        });
        run(giver.task());
        let first = task(&home, GiveAway(Some(giver)));
        run(first.task());
        let mut first = first;
        let giver = first.try_take().unwrap().unwrap();
        drop(first);
        let opener = {
            let (home, blocker) = (home.clone(), blocker.clone());
            thread::spawn(move || {
                blocker.open();
                drain(&home);
            })
        };
        let second = task(&home, async move { giver.await.read() });
        run(second.task());
        opener.join().unwrap();
        drain(&home);
        assert_eq!(second.try_result().ok(), Some(7), "the second awaiter was not told");
    });
}

/// A leaf that is opened once.
#[derive(Default)]
struct Latch(crate::sync::Mutex<(bool, Option<Waker>)>);

impl Latch {
    fn open(&self) {
        let waker = {
            let mut inner = self.0.lock();
            inner.0 = true;
            inner.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

struct Opened(Arc<Latch>);

impl Future for Opened {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.0.lock();
        if inner.0 {
            return Poll::Ready(());
        }
        inner.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Another executor's waker, and what an observer saw.
struct Told {
    bell: Notify,
    data: UnsafeCell<u32>,
}

// SAFETY: loom's cell reports unsynchronised use, which is what is checked.
unsafe impl Send for Told {}
// SAFETY: as above.
unsafe impl Sync for Told {}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.bell.notify();
    }
}

impl Observer for Told {
    fn ended(&self, index: usize, with_value: bool) {
        assert!(index == 3 && with_value);
        // SAFETY: only the task that ends writes it; loom checks.
        self.data.with_mut(|data| unsafe { *data += 1 });
        self.bell.notify();
    }
}

/// Another executor awaits the task: it is woken if it was told to wait.
#[test]
fn a_foreign_waker() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let mut giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let told = Arc::new(Told { bell: Notify::new(), data: UnsafeCell::new(0) });
        let waker = Waker::from(told.clone());
        let value = loop {
            match Pin::new(&mut giver).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => break value,
                Poll::Pending => told.bell.wait(),
            }
        };
        assert_eq!(value.read(), 7);
        worker.join().unwrap();
        drop((giver, waker));
        assert_eq!(Arc::strong_count(&told), 1, "a waker is left");
    });
}

/// An observer is told once, or hears that it came too late.
#[test]
fn an_observer() {
    check(None, || {
        let (home, drops) = (home(), counter());
        let mut giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let told = Arc::new(Told { bell: Notify::new(), data: UnsafeCell::new(0) });
        let observed = giver.observe(told.clone(), 3).is_none();
        if !observed {
            assert!(giver.done(), "the end was promised");
        }
        worker.join().unwrap();
        // SAFETY: the observer is done; loom checks.
        let times = told.data.with(|data| unsafe { *data });
        assert_eq!(times, u32::from(observed));
        assert_eq!(giver.try_take().unwrap().unwrap().read(), 7);
        drop(giver);
        assert_eq!(Arc::strong_count(&told), 1, "the observer is still registered");
    });
}

/// A handle cancels and is dropped, as the last reference maybe, while the task ends.
#[test]
fn a_handle_cancels() {
    check(3, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let handle = giver.handle();
        drop(giver);
        if !handle.cancel() {
            assert!(handle.done());
        }
        drop(handle);
        worker.join().unwrap();
        drain(&home);
        assert_eq!(drops.load(SeqCst), 1);
        assert_eq!(home.registry.len(), 0);
    });
}

/// Two clones of a `SharedTask` are polled by one task, on one thread: it is told once for both.
#[test]
fn one_awaiter_twice() {
    check(2, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let worker = runner(&giver);
        let first = giver.shared();
        let both = Both(Some(first.clone()), Some(first));
        let awaiter = task(&home, both);
        run(awaiter.task());
        worker.join().unwrap();
        drain(&home);
        assert!(awaiter.done(), "the awaiter was not told");
    });
}

/// Both of two futures.
struct Both(Option<SharedTask<Value>>, Option<SharedTask<Value>>);

impl Future for Both {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Both(first, second) = &mut *self;
        for future in [first, second] {
            if future.as_mut().is_some_and(|future| Pin::new(future).poll(cx).is_ready()) {
                *future = None;
            }
        }
        if self.0.is_none() && self.1.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Two threads are the first to need a task's extras.
#[test]
fn two_make_the_extras() {
    check(None, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let handle = giver.handle();
        let other = thread::spawn(move || handle.set_name("other"));
        giver.set_name("one");
        other.join().unwrap();
        assert!(["one", "other"].contains(&&*giver.name()));
        run(giver.task());
    });
}

/// One has made a task's extras, and another, who was not there, reads them.
#[test]
fn somebody_reads_the_extras() {
    check(None, || {
        let (home, drops) = (home(), counter());
        let giver = giver(&home, 7, &drops);
        let handle = giver.handle();
        let other = thread::spawn(move || handle.name());
        giver.set_name("one");
        let _name = other.join().unwrap();
        run(giver.task());
    });
}
