//! Very many who wait for one thing: waking them holds up nobody, and forgets nobody.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::thread;

use kumihimo as asyncio;
use kumihimo::{Condition, Event, Queue};

use crate::support::{Flavour, everywhere, on, until, within_patience};
use crate::{Wakes, settle};

/// Fewer under ThreadSanitizer, which is slow.
const MILLION: usize = if cfg!(kumihimo_tsan) { 100_000 } else { 1_000_000 };

/// More than are woken in one go.
const MANY: usize = 5_000;

/// Has so many tasks wait for an event, and count when they go on.
async fn crowd(event: &Arc<Event>, size: usize) -> Arc<AtomicUsize> {
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..size {
        let (event, ran) = (event.clone(), ran.clone());
        drop(asyncio::create_task(async move {
            event.wait().await;
            ran.fetch_add(1, SeqCst);
        }));
    }
    settle().await;
    assert_eq!(event.statistics().waiting, size);
    ran
}

#[test]
fn setting_an_event_for_a_million_holds_up_nobody() {
    for flavour in [Flavour::Workers(1), Flavour::Workers(2), Flavour::Workers(4)] {
        on(flavour, async {
            let event = Arc::new(Event::new());
            let ran = crowd(&event, MILLION).await;
            // Somebody who wants a turn now and then, and notes how many have run in between.
            let seen = Arc::new(Mutex::new(Vec::new()));
            let ticker = asyncio::create_task({
                let (ran, seen) = (ran.clone(), seen.clone());
                async move {
                    while ran.load(SeqCst) < MILLION {
                        seen.lock().unwrap().push(ran.load(SeqCst));
                        asyncio::yield_now().await;
                    }
                }
            });
            until("a turn", || !seen.lock().unwrap().is_empty()).await;
            event.set();
            let ran_meanwhile = ran.load(SeqCst);
            assert_eq!(event.statistics().waiting, 0);
            ticker.await;
            let mut seen = std::mem::take(&mut *seen.lock().unwrap());
            seen.retain(|n| (1..MILLION).contains(n));
            let turns = seen.len();
            if flavour == Flavour::Workers(1) {
                assert_eq!(ran_meanwhile, 0);
                let most = seen.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
                assert!(most < MILLION / 100, "{most} have run between two turns of another");
                assert!(turns > 100, "{turns} turns");
            } else {
                // How many run at the same time is for the system to say.
                assert!(
                    ran_meanwhile < MILLION && turns > 10,
                    "{ran_meanwhile} have run, {turns} turns, {flavour}"
                );
            }
        });
    }
}

#[test]
fn in_asyncios_order_all_are_woken_at_once_and_run_in_order() {
    on(Flavour::CurrentThread, async {
        let (event, order) = (Arc::new(Event::new()), Arc::new(Mutex::new(Vec::new())));
        for n in 0..MANY {
            let (event, order) = (event.clone(), order.clone());
            drop(asyncio::create_task(async move {
                event.wait().await;
                order.lock().unwrap().push(n);
            }));
        }
        settle().await;
        event.set();
        let last = order.clone();
        // Behind them in the queue.
        let behind = asyncio::create_task(async move { last.lock().unwrap().len() });
        assert_eq!(behind.await, MANY);
        assert!(order.lock().unwrap().iter().copied().eq(0..MANY));
    });
}

#[test]
fn who_was_woken_stays_so_also_if_it_was_not_told_yet() {
    everywhere(async || {
        let event = Arc::new(Event::new());
        let ran = crowd(&event, MANY).await;
        event.set();
        event.clear();
        // These come later, and wait for the next time.
        let late = asyncio::create_task({
            let event = event.clone();
            async move { event.wait().await }
        });
        until("all have run", || ran.load(SeqCst) == MANY).await;
        settle().await;
        assert!(!late.done() && event.statistics().waiting == 1);
        let tasks = asyncio::all_tasks().len();
        assert_eq!(tasks, 2, "only the tasks of the program are seen");
        event.set();
        late.await;
    });
}

#[test]
fn those_who_give_up_while_others_are_being_told_are_passed_over() {
    everywhere(async || {
        let event = Arc::new(Event::new());
        let ran = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..MANY)
            .map(|_| {
                let (event, ran) = (event.clone(), ran.clone());
                asyncio::create_task(async move {
                    event.wait().await;
                    ran.fetch_add(1, SeqCst);
                })
            })
            .collect();
        settle().await;
        event.set();
        for task in tasks.iter().skip(1).step_by(2) {
            task.cancel();
        }
        let mut cancelled = 0;
        for task in tasks {
            cancelled += usize::from(task.outcome().await.is_err());
        }
        // Who is cancelled in its last step has run, and ends cancelled.
        assert!(cancelled <= MANY / 2 && cancelled + ran.load(SeqCst) >= MANY);
        assert_eq!(event.statistics().waiting, 0);
    });
}

#[test]
fn a_condition_wakes_many_and_each_has_the_lock() {
    everywhere(async || {
        let condition = Arc::new(Condition::with_value(0));
        let tasks: Vec<_> = (0..MANY)
            .map(|_| {
                let condition = condition.clone();
                asyncio::create_task(async move {
                    let mut guard = condition.acquire().await;
                    condition.wait(&mut guard).await;
                    let seen = *guard;
                    if seen % 100 == 0 {
                        asyncio::yield_now().await;
                    }
                    *guard = seen + 1;
                })
            })
            .collect();
        settle().await;
        assert_eq!(condition.statistics().waiting, MANY);
        let guard = condition.acquire().await;
        condition.notify(2);
        condition.notify_all();
        condition.notify(1);
        drop(guard);
        for task in tasks {
            task.await;
        }
        assert_eq!(*condition.acquire().await, MANY);
    });
}

#[test]
fn a_queue_that_ends_wakes_many() {
    everywhere(async || {
        let (empty, full) = (Queue::<usize>::new(1), Queue::new(1));
        full.put_nowait(MANY).unwrap();
        let getters: Vec<_> = (0..MANY)
            .map(|n| {
                let (empty, full) = (empty.clone(), full.clone());
                asyncio::create_task(async move {
                    match n % 3 {
                        0 => empty.get().await.is_err(),
                        1 => full.put(n).await.is_err(),
                        _ => {
                            full.join().await;
                            true
                        }
                    }
                })
            })
            .collect();
        settle().await;
        empty.shutdown(false);
        full.shutdown(true);
        for getter in getters {
            assert!(getter.await);
        }
        let (empty, full) = (empty.statistics(), full.statistics());
        assert_eq!((empty.getters, full.putters, full.joiners), (0, 0, 0));
    });
}

#[test]
fn a_plain_thread_wakes_all_before_it_goes_on() {
    let event = Event::new();
    let (wakes, waker) = Wakes::new();
    let mut futures: Vec<_> = (0..MANY).map(|_| Box::pin(event.wait())).collect();
    for future in &mut futures {
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    event.set();
    assert_eq!(wakes.count(), MANY);
}

#[test]
fn a_loop_that_ends_before_all_are_told_tells_them() {
    let (one, other) =
        (Flavour::Workers(2), [Flavour::Workers(1), Flavour::Workers(2), Flavour::CurrentThread]);
    for other in other {
        within_patience(other, || {
            let event = Arc::new(Event::new());
            let setter = event.clone();
            let waiting = thread::spawn(move || {
                let runner = one.builder_in_real_time().handle_sigint(false).build().unwrap();
                let waits = (0..MANY).map(|_| {
                    let event = event.clone();
                    async move { event.wait().await }
                });
                runner.run(async { asyncio::gather(waits.collect::<Vec<_>>()).await.len() }).unwrap()
            });
            while setter.statistics().waiting < MANY {
                thread::yield_now();
            }
            on(other, async move { setter.set() });
            assert_eq!(waiting.join().unwrap(), MANY);
        });
    }
}
