//! Promises, callbacks and reports: who settles, who is told, who looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use loom::cell::UnsafeCell;
use loom::thread;

use super::check;
use super::stage::{Value, counter, drain, home, run, task};
use crate::scheduler::Call;
use crate::task::Promise;

/// A value and a cancellation, or another value: one of the two settles the promise, and its awaiter is told which.
fn one_of_two_settles(other: fn(&Promise<Value>, &Arc<AtomicUsize>) -> bool) {
    check(3, move || {
        let (home, drops) = (home(), counter());
        let promise = Promise::<Value>::new(&home);
        let value = (&promise).into_future();
        let awaiter = task(&home, async move { value.await.read() });
        run(awaiter.task());
        let setter = {
            let (promise, value) = (promise.clone(), Value::new(1, &drops));
            thread::spawn(move || promise.set_result(value).is_ok())
        };
        let other = other(&promise, &drops);
        // Whoever comes too late finds it settled.
        assert!(promise.done());
        assert!(setter.join().unwrap() != other);
        drain(&home);
        match awaiter.try_result() {
            Ok(read) => assert_eq!(read, if other { 2 } else { 1 }),
            Err(_) => assert!(other && promise.cancelled() && awaiter.cancelled()),
        }
    });
}

#[test]
fn a_value_and_a_cancellation() {
    one_of_two_settles(|promise, _| promise.cancel());
}

#[test]
fn two_values() {
    one_of_two_settles(|promise, drops| promise.set_result(Value::new(2, drops)).is_ok());
}

/// A callback is added while the task ends, and another removed: the one is called once, the other once or never.
#[test]
fn callbacks_and_the_end() {
    check(3, || {
        let home = home();
        let called = [counter(), counter()];
        let ending = task(&home, async {});
        let removed = {
            let called = called[0].clone();
            ending.add_done_callback(move |_| _ = called.fetch_add(1, SeqCst))
        };
        let worker = {
            let task = ending.task();
            thread::spawn(move || run(task))
        };
        let callback = called[1].clone();
        let handle = ending.handle();
        // A thread that is no worker, so the loop is known while the task has not ended only.
        let added = handle.add_done_callback(move |_| _ = callback.fetch_add(1, SeqCst));
        let gone = ending.remove_done_callback(removed);
        worker.join().unwrap();
        drain(&home);
        assert_eq!(called[0].load(SeqCst), usize::from(!gone));
        assert_eq!(called[1].load(SeqCst), usize::from(added.is_pending()));
        assert_eq!(Arc::strong_count(&called[1]), 1);
    });
}

/// Two threads push calls: all run, none while another does.
#[test]
fn calls_on_the_strand() {
    check(2, || {
        let home = home();
        let (cell, runs) = (Arc::new(UnsafeCell::new(0)), counter());
        let push = {
            let (home, cell, runs) = (home.clone(), cell.clone(), runs.clone());
            move || {
                let (cell, runs) = (Overlapping(cell.clone()), runs.clone());
                home.call_soon(Call::Run(Box::new(move || {
                    cell.touch();
                    runs.fetch_add(1, SeqCst);
                })));
            }
        };
        let other = {
            let (push, home) = (push.clone(), home.clone());
            thread::spawn(move || {
                push();
                drain(&home);
            })
        };
        push();
        drain(&home);
        other.join().unwrap();
        drain(&home);
        assert_eq!(runs.load(SeqCst), 2, "a call was left");
        assert_eq!(home.registry.len(), 0, "the strand did not end");
    });
}

/// What two calls may not use at the same time.
struct Overlapping(Arc<UnsafeCell<u32>>);

impl Overlapping {
    fn touch(&self) {
        // SAFETY: loom reports it if two do so at once, which is what is checked.
        self.0.with_mut(|number| unsafe { *number += 1 });
    }
}

// SAFETY: loom's cell reports unsynchronised use, which is what is checked.
unsafe impl Send for Overlapping {}

/// The last owner takes the output while the end of the loop looks whether there is an error to report.
#[test]
fn a_report_and_the_owner() {
    check(3, || {
        let (home, drops, reports) = (home(), counter(), counter());
        let count = reports.clone();
        home.exceptions.set(Some(Arc::new(move |_| _ = count.fetch_add(1, SeqCst))));
        let failure = Failure(Value::new(7, &drops));
        let failing = task(&home, async move { Err::<(), _>(failure) }).report_err_to(&home.exceptions);
        run(failing.task());
        let handle = failing.handle();
        let looker = thread::spawn(move || handle.report_unretrieved("left"));
        let mut failing = failing;
        let error = failing.try_take().expect("it has ended").unwrap().unwrap_err();
        drop(error);
        looker.join().unwrap();
        drop(failing);
        assert!(reports.load(SeqCst) <= 1);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// An error whose text is read, and which is dropped.
struct Failure(Value);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.read())
    }
}
