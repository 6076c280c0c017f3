//! What may go to other threads.

use std::cell::Cell;

use kumihimo::future::Outcome;
use kumihimo::{CancelledError, EventLoop, Runner, SharedTask, Task, TaskError, TaskHandle};

fn assert_send<T: Send>() {}
fn assert_send_and_sync<T: Send + Sync>() {}

/// Two ways to implement it for what is `Sync`, so that nobody can say which is meant.
trait OneWayIfNotSync<Way> {
    fn check() {}
}
impl<T> OneWayIfNotSync<()> for T {}
impl<T: Sync> OneWayIfNotSync<u8> for T {}

fn main() {
    // Its loop is for one thread to run.
    <Runner as OneWayIfNotSync<_>>::check();

    assert_send::<Task<Cell<u32>>>();
    assert_send_and_sync::<Task<String>>();
    assert_send_and_sync::<SharedTask<String>>();
    assert_send::<Outcome<Cell<u32>>>();
    assert_send_and_sync::<TaskHandle>();
    assert_send_and_sync::<EventLoop>();
    assert_send_and_sync::<TaskError>();
    assert_send_and_sync::<CancelledError>();
}
