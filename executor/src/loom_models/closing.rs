//! The end of a runtime.

use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use loom::thread;

use super::check;
use super::stage::{Value, counter, runtime, task, waker_of};
use crate::Scheduler;
use crate::scheduler::drop_all_tasks;

/// Holds something until it is dropped.
struct Holder(Value);

impl Future for Holder {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.0.read();
        Poll::Pending
    }
}

/// A foreign thread wakes a task while its runtime closes and is freed. The wake-up touches nothing that is gone, and the
/// future is dropped once, by the runtime.
#[test]
fn a_wake_up_while_closing() {
    check(3, || {
        let (shared, mut locals) = runtime(1);
        let local = locals.remove(0);
        let drops = counter();
        let holder = task(&shared, Holder(Value::new(7, &drops)));
        super::stage::run(holder.task());
        drop(shared);
        let waker = waker_of(holder.task());
        let foreign = thread::spawn(move || waker.wake());
        drop(holder);
        drop_all_tasks(&local);
        // Freeing is no step to loom: this one has it try what happens if the foreign thread is overtaken here.
        let _searching = local.shared.sleep.begin_search(1) && local.shared.sleep.end_search();
        // The last count of the runtime, unless the foreign thread has one.
        drop(local);
        assert_eq!(drops.load(SeqCst), 1, "the future is gone at the end of its loop");
        foreign.join().unwrap();
    });
}

/// The same with a request to cancel, and a handle that outlives the runtime.
#[test]
fn a_request_while_closing() {
    check(3, || {
        let (shared, mut locals) = runtime(1);
        let local = locals.remove(0);
        let drops = counter();
        let holder = task(&shared, Holder(Value::new(7, &drops)));
        super::stage::run(holder.task());
        drop(shared);
        let handle = holder.handle();
        let foreign = thread::spawn(move || {
            let _ = handle.cancel();
            handle
        });
        drop_all_tasks(&local);
        drop(local);
        let handle = foreign.join().unwrap();
        assert!(handle.cancelled());
        assert!(holder.cancelled());
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// Another thread starts a task while the runtime closes: the task is refused, or dropped by the runtime; never kept, and never
/// twice.
#[test]
fn a_spawn_while_closing() {
    check(2, || {
        let (shared, mut locals) = runtime(1);
        let local = locals.remove(0);
        let drops = counter();
        let foreign = {
            let (shared, value) = (shared.clone(), Value::new(7, &drops));
            thread::spawn(move || Scheduler::of(shared).spawn_hidden(Holder(value)))
        };
        drop(shared);
        drop_all_tasks(&local);
        drop(local);
        foreign.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1, "the future is gone, by whoever has refused or dropped it");
    });
}
