//! Which reactor a thread is in.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kumihimo_reactor::{Reactor, Turn};

#[test]
fn contexts_nest_and_are_restored() {
    assert!(Reactor::current().is_none());
    let (outer, inner) = (Reactor::new(1).unwrap(), Reactor::new(2).unwrap());
    let outer_guard = outer.enter(0);
    {
        let _inner_guard = inner.enter(1);
        // The inner one is the one that can be turned.
        Reactor::current().unwrap().turn(Turn::Poll);
        inner.turn(Turn::Poll);
        assert!(catch_unwind(AssertUnwindSafe(|| outer.turn(Turn::Poll))).is_err());
    }
    outer.turn(Turn::Poll);
    drop(outer_guard);
    assert!(Reactor::current().is_none());
}

#[test]
fn guards_dropped_out_of_turn_are_told_so_and_leave_nothing_dangling() {
    std::thread::spawn(|| {
        let outer = Reactor::new(1).unwrap().enter(0);
        let inner = Reactor::new(1).unwrap().enter(0);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(outer))).is_err());
        drop(inner);
        Reactor::current().unwrap().turn(Turn::Poll);
    })
    .join()
    .unwrap();
}

#[test]
fn the_guard_keeps_the_reactor_alive() {
    let entered = Reactor::new(1).unwrap().enter(0);
    Reactor::current().unwrap().turn(Turn::Poll);
    drop(entered);
}

#[test]
#[should_panic(expected = "no worker 2 in a reactor of 2 workers")]
fn workers_are_numbered_from_zero() {
    let _entered = Reactor::new(2).unwrap().enter(2);
}
