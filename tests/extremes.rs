//! Inputs at the edge: nothing to wait for, no time, oneself, a loop that is closed, and very much of something.

// Tasks are handed out of a run on purpose, to be looked at after it.
#![allow(clippy::async_yields_async)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};

use kumihimo as asyncio;
use kumihimo::{ResultError, SharedTask, TaskError};
use support::{Flavour, everywhere, millis, on, secs};

/// What a panic said.
fn panic_message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().expect("a text").to_string(),
    }
}

#[test]
fn gathering_nothing_is_done_at_once() {
    everywhere(async || {
        assert_eq!(asyncio::gather(()).await, ());
        assert_eq!(asyncio::gather(Vec::<std::future::Ready<u8>>::new()).await, []);
        assert_eq!(asyncio::gather([(); 0].map(|()| async { 1 })).await, [0; 0]);
        let none = asyncio::gather(Vec::<std::future::Ready<u8>>::new());
        assert!(none.done());
        assert!(none.outcomes().await.is_empty());
        assert_eq!(asyncio::try_gather(Vec::<std::future::Ready<Result<u8, ()>>>::new()).await, Ok(vec![]));
    });
}

#[test]
fn no_time_is_a_turn() {
    everywhere(async || {
        let turns = Arc::new(AtomicUsize::new(0));
        let counter = turns.clone();
        let other = asyncio::create_task(async move { counter.fetch_add(1, SeqCst) });
        asyncio::sleep(millis(0)).await;
        assert_eq!(asyncio::sleep_with(millis(0), "value").await, "value");
        other.await;
        assert_eq!(turns.load(SeqCst), 1);
    });
}

#[test]
fn a_task_that_awaits_itself_is_told_so() {
    everywhere(async || {
        let own: Arc<Mutex<Option<SharedTask<()>>>> = Arc::default();
        let place = own.clone();
        let task = asyncio::create_task(async move {
            while place.lock().unwrap().is_none() {
                asyncio::yield_now().await;
            }
            let own = place.lock().unwrap().take().unwrap();
            own.await;
        });
        let shared = task.shared();
        *own.lock().unwrap() = Some(shared.clone());
        let error = shared.outcome().await.expect_err("it can't wait for itself");
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert!(panic.message().contains("awaits itself"), "{panic}");
    });
}

#[test]
fn two_tasks_that_await_each_other_can_be_cancelled() {
    everywhere(async || {
        let slot = Arc::new(Mutex::new(None::<SharedTask<()>>));
        let filled = slot.clone();
        let a = asyncio::create_task(async move {
            asyncio::sleep(millis(1)).await;
            let b = filled.lock().unwrap().take().unwrap();
            b.await;
        });
        let awaited = a.handle();
        let a = a.shared();
        let b = asyncio::create_task(a).shared();
        let other = b.handle();
        *slot.lock().unwrap() = Some(b);
        asyncio::sleep(millis(10)).await;
        assert!(awaited.cancel());
        asyncio::sleep(millis(1)).await;
        assert!(awaited.cancelled() && other.cancelled());
    });
}

#[test]
fn what_a_closed_loop_left_is_cancelled_and_it_takes_nothing_new() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder().build().unwrap();
        let event_loop = runner.get_loop();
        let (task, promise) = runner
            .run(async {
                let promise = asyncio::get_running_loop().create_future::<u8>();
                (asyncio::create_task(std::future::pending::<()>()), promise)
            })
            .unwrap();
        runner.close();
        assert!(task.cancelled() && event_loop.is_closed());
        // Another loop may look at what became of them.
        on(flavour, async {
            let outcome = task.outcome().await;
            assert!(outcome.is_err_and(|error| error.is_cancelled()));
            assert!(matches!(promise.try_result(), Err(ResultError::NotReady)));
            promise.set_result(3).unwrap();
            assert_eq!((&promise).await, 3);
        });
        let said = panic_message(|| drop(event_loop.create_task(async {})));
        assert!(said.contains("closed"), "{said}");
        let said = panic_message(|| drop(event_loop.call_soon(|| {})));
        assert!(said.contains("closed"), "{said}");
        let said = panic_message(|| drop(event_loop.create_future::<()>()));
        assert!(said.contains("closed"), "{said}");
        promise.add_done_callback(|_| unreachable!("its loop is closed"));
    }
}

#[test]
fn ten_thousand_cancels_are_counted_and_delivered_once() {
    // With another worker the task would run in between, and each request after a delivery is another.
    let test = async || {
        let deliveries = Arc::new(AtomicUsize::new(0));
        let count = deliveries.clone();
        let task = asyncio::create_task(async move {
            let cancelled = asyncio::catch_cancelled(asyncio::sleep(secs(1))).await;
            count.fetch_add(1, SeqCst);
            assert_eq!(cancelled.expect_err("it is cancelled").message(), Some("0"));
            asyncio::sleep(secs(1)).await;
            asyncio::current_task().unwrap().cancelling()
        });
        asyncio::sleep(millis(1)).await;
        for n in 0..10_000 {
            assert!(task.cancel_with(n.to_string()));
        }
        assert_eq!(task.cancelling(), 10_000);
        let handle = task.handle();
        assert_eq!(task.await, 10_000);
        assert_eq!(deliveries.load(SeqCst), 1);
        assert!(!handle.cancel());
        assert_eq!(handle.cancelling(), 10_000);
        for left in (0..10_000).rev() {
            assert_eq!(handle.uncancel(), left);
        }
        assert_eq!(handle.uncancel(), 0);
    };
    on(Flavour::CurrentThread, test());
    on(Flavour::Workers(1), test());
}

#[test]
fn cancels_from_many_threads_are_counted_too() {
    everywhere(async || {
        let gate = asyncio::create_task(std::future::pending::<()>());
        let ended = gate.handle();
        let task = asyncio::create_task(async move {
            // One delivery, or several: a request that comes after one is another.
            while let Err(_cancelled) = asyncio::catch_cancelled(asyncio::shield(&gate)).await {
                if gate.cancelled() {
                    break;
                }
            }
        });
        asyncio::sleep(millis(1)).await;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2500).for_each(|_| assert!(task.cancel())));
            }
        });
        assert_eq!(task.cancelling(), 10_000);
        ended.cancel();
        // A request that comes in its very last step has it end cancelled.
        let _ended = task.outcome().await;
    });
}

/// Tasks that each await the next.
fn chain(links: usize, innermost: asyncio::Task<u64>) -> asyncio::Task<u64> {
    (0..links).fold(innermost, |inner, _| asyncio::create_task(async move { inner.await + 1 }))
}

const DEEP: usize = 10_000;

#[test]
fn a_value_comes_through_a_deep_chain() {
    everywhere(async || {
        let innermost = asyncio::create_task(asyncio::sleep_with(millis(5), 0));
        assert_eq!(chain(DEEP, innermost).await, DEEP as u64);
    });
}

#[test]
fn a_cancellation_goes_down_a_deep_chain_and_up_again() {
    everywhere(async || {
        let innermost = asyncio::create_task(asyncio::sleep_with(secs(5), 0));
        let deep = innermost.handle();
        let outermost = chain(DEEP, innermost);
        asyncio::sleep(secs(1)).await;
        outermost.cancel_with("deep");
        let error = outermost.outcome().await.expect_err("it is cancelled");
        let TaskError::Cancelled(error) = error else { panic!("{error}") };
        assert_eq!(error.message(), Some("deep"));
        assert!(deep.cancelled() && deep.cancelling() == 1);
    });
}

#[test]
fn a_panic_comes_up_a_deep_chain() {
    std::panic::set_hook(Box::new(|_| {}));
    everywhere(async || {
        let innermost = asyncio::create_task(async { panic!("at the bottom") });
        let error = chain(DEEP, innermost).outcome().await.expect_err("it panics");
        let TaskError::Panicked(panic) = error else { panic!("{error}") };
        assert_eq!(panic.message(), "at the bottom");
    });
    let _ours = std::panic::take_hook();
}

#[test]
fn a_deep_chain_that_is_left_ends_with_the_loop() {
    for flavour in Flavour::ALL {
        let runner = flavour.builder().build().unwrap();
        let outermost = runner.run(async {
            // Each is cancelled, down the chain: the time grows with the square.
            let outermost = chain(1000, asyncio::create_task(asyncio::sleep_with(secs(5), 0)));
            asyncio::sleep(millis(1)).await;
            outermost
        });
        runner.close();
        assert!(outermost.unwrap().cancelled());
    }
}

#[test]
fn gathers_of_gathers_are_cancelled_however_deep() {
    everywhere(async || {
        let innermost = asyncio::create_task(asyncio::sleep_with(secs(5), 0_u64));
        let deep = innermost.handle();
        let outermost = (0..DEEP).fold(innermost, |inner, _| {
            asyncio::create_task(async move {
                let (value, other) = asyncio::gather((inner, asyncio::yield_now())).await;
                let () = other;
                value + 1
            })
        });
        asyncio::sleep(secs(1)).await;
        outermost.cancel();
        assert!(outermost.outcome().await.is_err_and(|error| error.is_cancelled()));
        assert!(deep.cancelled());
    });
}

#[test]
fn ten_thousand_callbacks_run_in_order() {
    everywhere(async || {
        let order: Arc<Mutex<Vec<usize>>> = Arc::default();
        let event_loop = asyncio::get_running_loop();
        let promise = event_loop.create_future::<()>();
        for n in 0..10_000 {
            let order = order.clone();
            promise.add_done_callback(move |_| order.lock().unwrap().push(n));
        }
        promise.set_result(()).unwrap();
        for n in 10_000..20_000 {
            let order = order.clone();
            event_loop.call_soon(move || order.lock().unwrap().push(n));
        }
        let last = event_loop.create_future::<()>();
        let done = last.clone();
        event_loop.call_soon(move || done.set_result(()).unwrap());
        last.await;
        assert!(order.lock().unwrap().iter().copied().eq(0..20_000));
    });
}

/// Who takes tells who puts of room now and then only; who finds no room asks.
#[test]
fn a_queue_that_was_full_has_room_after_each_get() {
    let queue = asyncio::Queue::new(1000);
    for item in 0..1000 {
        queue.put_nowait(item).unwrap();
    }
    for item in 1000..3000 {
        assert_eq!(queue.get_nowait(), Ok(item - 1000));
        assert_eq!(queue.put_nowait(item), Ok(()));
    }
    assert!(queue.full() && queue.put_nowait(0).is_err());
}
