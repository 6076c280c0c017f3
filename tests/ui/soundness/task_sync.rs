//! `&Task` lets other threads clone the output: it must be `Sync` as well as `Send`.

use std::cell::Cell;
use std::sync::MutexGuard;

use kumihimo::Task;

fn assert_sync<T: Sync>() {}

fn main() {
    // `Send`, not `Sync`.
    assert_sync::<Task<Cell<u32>>>();
    // `Sync`, not `Send`.
    assert_sync::<Task<MutexGuard<'static, ()>>>();
}
