//! A lock gives its value to other threads.

use std::rc::Rc;
use std::sync::MutexGuard;

use kumihimo::{Condition, Lock};

fn assert_send<T: Send>() {}
fn assert_sync<T: Sync>() {}

fn main() {
    assert_send::<Lock<Rc<u32>>>();
    assert_sync::<Lock<Rc<u32>>>();
    // Though this is `Sync`.
    assert_sync::<Lock<MutexGuard<'static, u32>>>();
    assert_sync::<Condition<Rc<u32>>>();
}
