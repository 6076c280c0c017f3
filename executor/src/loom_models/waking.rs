//! Wake-ups against the steps of the task.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::check;
use super::stage::{drain, home, run, task, waker_of};

/// News from two threads. Relaxed: only the wake-up carries what was written before it.
#[derive(Default)]
struct News([AtomicBool; 2]);

impl News {
    fn new() -> Arc<News> {
        Arc::default()
    }

    fn write(&self, who: usize) {
        self.0[who].store(true, Relaxed);
    }
}

/// Ends once it has seen all the news.
struct Reader {
    news: Arc<News>,
    expected: usize,
    /// Shows that no two polls overlap, and that each sees what the one before has written.
    polls: UnsafeCell<u32>,
}

impl Future for Reader {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the task runs on one thread at a time; loom checks.
        self.polls.with_mut(|polls| unsafe { *polls += 1 });
        let seen = self.news.0.iter().filter(|written| written.load(Relaxed));
        if seen.count() == self.expected { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn reader(news: &Arc<News>, expected: usize) -> Reader {
    Reader { news: news.clone(), expected, polls: UnsafeCell::new(0) }
}

/// One wakes by value, one by reference, while the task takes its first step. No wake-up is lost, what was written before
/// it is seen, the task is never in two queues (asserted by `State::start`), and is freed once (asserted by loom).
#[test]
fn two_wakers_and_a_step() {
    check(2, || {
        let (home, news) = (home(), News::new());
        let reader = task(&home, reader(&news, 2));
        let by_value = {
            let (news, waker) = (news.clone(), waker_of(reader.task()));
            thread::spawn(move || {
                news.write(0);
                waker.wake();
            })
        };
        let by_ref = {
            let (news, waker) = (news.clone(), waker_of(reader.task()));
            thread::spawn(move || {
                news.write(1);
                waker.wake_by_ref();
            })
        };
        run(reader.task());
        by_value.join().unwrap();
        by_ref.join().unwrap();
        drain(&home);
        assert!(reader.done(), "a wake-up was lost");
    });
}

/// As above, with two workers that take what they find while the wake-ups come.
#[test]
fn two_wakers_and_two_workers() {
    check(2, || {
        let (home, news) = (home(), News::new());
        let reader = task(&home, reader(&news, 2));
        home.injector.push(reader.task());
        let others = [0, 1].map(|who| {
            let (home, news, waker) = (home.clone(), news.clone(), waker_of(reader.task()));
            thread::spawn(move || {
                news.write(who);
                waker.wake();
                drain(&home);
            })
        });
        drain(&home);
        others.into_iter().for_each(|other| other.join().unwrap());
        drain(&home);
        assert!(reader.done(), "a wake-up was lost");
    });
}

/// The `Task` is dropped while the wake-up comes, which may be the last reference.
#[test]
fn a_waker_outlives_the_owner() {
    check(2, || {
        let (home, news) = (home(), News::new());
        let reader = task(&home, reader(&news, 1));
        let task = reader.task();
        let waker = waker_of(task);
        let other = {
            let news = news.clone();
            thread::spawn(move || {
                news.write(0);
                waker.wake_by_ref();
                // The task may have ended long ago.
                waker.wake();
            })
        };
        let owner = thread::spawn(move || drop(reader));
        run(task);
        other.join().unwrap();
        owner.join().unwrap();
        drain(&home);
        assert_eq!(home.registry.len(), 0, "a wake-up was lost");
    });
}
