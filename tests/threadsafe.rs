//! Coroutines that threads outside of a loop submit to it: the rules RCT of asyncio.

mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::{
    ConcurrentError, ConcurrentFuture, catch_cancelled, get_running_loop, run_coroutine_threadsafe, to_thread,
};
use support::{Flavour, everywhere, millis, panic_message, secs, until, within_patience};

/// Longer than anything here takes; only a hanging test waits for it.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn futures_may_be_sent_and_shared() {
    fn all<T: Send + Sync>() {}
    all::<ConcurrentFuture<u8>>();
    all::<ConcurrentError>();
}

/// RCT-01, RCT-02.
#[test]
fn values_errors_and_panics_come_to_the_thread() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        to_thread(move || {
            let mut value = run_coroutine_threadsafe(async { String::from("value") }, &event_loop);
            assert_eq!(value.result(None).unwrap(), "value");
            assert!(value.done() && !value.cancelled() && !value.cancel());
            assert!(panic_message(|| _ = value.result(None)).contains("given its output"));
            let mut error = run_coroutine_threadsafe(async { Err::<(), _>("error") }, &event_loop);
            assert_eq!(error.result(None).unwrap(), Err("error"));
            let mut panics = run_coroutine_threadsafe(async { panic!("in the loop") }, &event_loop);
            let outcome: Result<(), _> = panics.result(None);
            assert!(matches!(outcome, Err(ConcurrentError::Panicked(why)) if why.message() == "in the loop"));
        })
        .await;
    });
}

/// RCT-03.
#[test]
fn a_result_may_time_out_and_cancelling_reaches_the_task() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let (told, seen) = channel();
        let (future, seen) = to_thread(move || {
            let mut future = run_coroutine_threadsafe(
                async move {
                    told.send("begun").unwrap();
                    if let Err(cancelled) = catch_cancelled(std::future::pending::<()>()).await {
                        told.send("cancelled in the loop").unwrap();
                        cancelled.raise().await
                    }
                },
                &event_loop,
            );
            assert_eq!(seen.recv_timeout(LONG), Ok("begun"));
            let timed_out = future.result(Some(millis(2)));
            assert!(matches!(timed_out, Err(ConcurrentError::TimedOut)) && !future.done());
            assert!(future.cancel() && future.cancel() && future.cancelled() && future.done());
            assert!(matches!(future.result(None), Err(ConcurrentError::Cancelled)));
            (future, seen)
        })
        .await;
        let handle = future.handle();
        handle.wait_end().await;
        assert!(handle.cancelled() && future.cancelled());
        assert_eq!(seen.try_recv(), Ok("cancelled in the loop"));
    });
}

#[test]
fn a_cancelled_future_stays_so_though_its_task_goes_on() {
    everywhere(|| async {
        let mut future = run_coroutine_threadsafe(
            async {
                let _caught = catch_cancelled(std::future::pending::<()>()).await;
                1
            },
            &get_running_loop(),
        );
        asyncio::yield_now().await;
        until("it waits", || future.handle().cancelling() == 0).await;
        assert!(future.cancel());
        future.handle().wait_end().await;
        assert!(future.cancelled() && future.done());
        assert!(matches!(future.result(None), Err(ConcurrentError::Cancelled)));
    });
}

/// RCT-04.
#[test]
fn a_task_that_is_cancelled_in_the_loop_cancels_the_future() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        to_thread(move || {
            let cancels_itself = async {
                asyncio::current_task().unwrap().cancel();
                std::future::pending::<()>().await;
            };
            let mut future = run_coroutine_threadsafe(cancels_itself, &event_loop);
            assert!(matches!(future.result(None), Err(ConcurrentError::Cancelled)));
            assert!(future.cancelled() && future.done() && future.cancel());
        })
        .await;
    });
}

#[test]
fn a_loop_that_closes_meanwhile_is_no_hang() {
    for flavour in [Flavour::CurrentThread, Flavour::Workers(2)] {
        within_patience(flavour, || {
            let event_loop = flavour.builder_in_real_time().build_event_loop().unwrap();
            let block = || {
                let event_loop = event_loop.clone();
                let (submitted, submitting) = channel();
                let thread = thread::spawn(move || {
                    let mut future = run_coroutine_threadsafe(std::future::pending::<()>(), &event_loop);
                    submitted.send(()).unwrap();
                    future.result(Some(LONG))
                });
                submitting.recv_timeout(LONG).unwrap();
                thread
            };
            let begun = block();
            event_loop.run_until_complete(asyncio::sleep(millis(1)));
            let never_polled = block();
            event_loop.close();
            for thread in [begun, never_polled] {
                assert!(matches!(thread.join().unwrap(), Err(ConcurrentError::Cancelled)));
            }
            let text = panic_message(|| drop(run_coroutine_threadsafe(async {}, &event_loop)));
            assert!(text.contains("closed"), "{text}");
        });
    }
}

#[test]
fn the_end_of_a_run_is_no_hang_either() {
    within_patience("two workers", || {
        let (sent, received) = channel();
        Flavour::Workers(2)
            .builder()
            .build()
            .unwrap()
            .run(async move {
                let event_loop = get_running_loop();
                sent.send(run_coroutine_threadsafe(std::future::pending::<()>(), &event_loop)).unwrap();
            })
            .unwrap();
        let mut future = received.recv().unwrap();
        assert!(matches!(future.result(Some(LONG)), Err(ConcurrentError::Cancelled)));
    });
}

#[test]
fn waiting_on_a_worker_of_the_same_loop_is_refused() {
    everywhere(|| async {
        let mut future = run_coroutine_threadsafe(asyncio::sleep(secs(1)), &get_running_loop());
        let text = panic_message(|| _ = future.result(None));
        assert!(text.contains("would block the event loop"), "{text}");
        future.handle().wait_end().await;
        // Nothing to wait for.
        future.result(None).unwrap();
    });
}

#[test]
fn dropping_the_future_leaves_the_task_and_callbacks_are_called() {
    everywhere(|| async {
        let event_loop = get_running_loop();
        let (told, seen) = channel();
        let handle = to_thread(move || {
            let nap = asyncio::sleep(secs(1));
            let future = run_coroutine_threadsafe(nap, &event_loop);
            future.add_done_callback(move |task| told.send((task.done(), task.cancelled())).unwrap());
            future.handle()
        })
        .await;
        handle.wait_end().await;
        until("called", || seen.try_recv() == Ok((true, false))).await;
    });
}

#[test]
fn another_loop_may_wait() {
    within_patience("two loops", || {
        let (loops, looping) = channel();
        let (stop, stopped) = channel::<()>();
        let other = thread::spawn(move || {
            asyncio::run(async move {
                loops.send(get_running_loop()).unwrap();
                to_thread(move || _ = stopped.recv()).await;
            });
        });
        let elsewhere = looping.recv_timeout(LONG).unwrap();
        let value = asyncio::run(async move {
            // It blocks this loop, which is what was asked for.
            run_coroutine_threadsafe(
                async {
                    asyncio::sleep(millis(1)).await;
                    5
                },
                &elsewhere,
            )
            .result(Some(LONG))
        });
        assert_eq!(value.unwrap(), 5);
        drop(stop);
        other.join().unwrap();
    });
}
