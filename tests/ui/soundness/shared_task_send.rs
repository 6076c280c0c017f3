//! Clones of a `SharedTask` reach one output from several threads: it must be `Send` and `Sync`.

use std::cell::Cell;
use std::sync::MutexGuard;

use kumihimo::SharedTask;

fn assert_send<T: Send>() {}

fn main() {
    // `Send`, not `Sync`.
    assert_send::<SharedTask<Cell<u32>>>();
    // `Sync`, not `Send`.
    assert_send::<SharedTask<MutexGuard<'static, ()>>>();
}
