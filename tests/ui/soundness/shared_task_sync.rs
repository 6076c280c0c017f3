//! As for `Send`.

use std::cell::Cell;
use std::sync::MutexGuard;

use kumihimo::SharedTask;

fn assert_sync<T: Sync>() {}

fn main() {
    assert_sync::<SharedTask<Cell<u32>>>();
    assert_sync::<SharedTask<MutexGuard<'static, ()>>>();
}
