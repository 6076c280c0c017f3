//! The LIFO slot against a thief.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::check;
use super::stage::{abandon, home, task};
use crate::scheduler::LifoSlot;
use crate::task::header::TaskRef;

/// A future that is never polled, and shows who touches it.
struct Probe(UnsafeCell<u32>);

impl Future for Probe {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        unreachable!()
    }
}

fn touch(task: TaskRef) -> usize {
    // SAFETY: the future is there until the end of the model; loom checks who else touches the cell.
    unsafe { (*task.stage::<Probe>()).0.with_mut(|touches| *touches += 1) };
    1
}

/// The worker readies two tasks and takes one back, while another takes out what it finds: each task is taken by one.
#[test]
fn put_and_take_against_a_thief() {
    check(None, || {
        let home = home();
        let tasks = [0, 1].map(|_| task(&home, Probe(UnsafeCell::new(0))));
        let slot = Arc::new(LifoSlot::new());
        let thief = {
            let slot = slot.clone();
            thread::spawn(move || (0..2).filter_map(|_| slot.take()).map(touch).sum::<usize>())
        };
        let mut taken = 0;
        for task in &tasks {
            touch(task.task());
            taken += slot.put(task.task(), false).map_or(0, touch);
        }
        taken += slot.take().map_or(0, touch);
        taken += thief.join().unwrap();
        assert_eq!(taken, 2, "a task was lost, or taken twice");
        // Nobody polls them: they are dropped as at the end of a loop.
        for task in &tasks {
            let _start = task.task().header().state.start();
            abandon(task.task());
        }
    });
}
