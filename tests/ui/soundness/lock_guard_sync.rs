//! A guard that two threads see gives both its value.

use std::cell::Cell;

use kumihimo::{LockGuard, OwnedLockGuard};

fn assert_sync<T: Sync>() {}

fn main() {
    assert_sync::<LockGuard<'static, Cell<u32>>>();
    assert_sync::<OwnedLockGuard<Cell<u32>>>();
}
