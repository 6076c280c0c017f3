//! Where a value must not go, its guard must not go either.

use std::rc::Rc;
use std::sync::MutexGuard;

use kumihimo::future::{Acquire, ConditionWait};
use kumihimo::{LockGuard, OwnedLockGuard};

fn assert_send<T: Send>() {}

fn main() {
    assert_send::<LockGuard<'static, Rc<u32>>>();
    assert_send::<LockGuard<'static, MutexGuard<'static, u32>>>();
    assert_send::<OwnedLockGuard<Rc<u32>>>();
    assert_send::<Acquire<'static, Rc<u32>>>();
    assert_send::<ConditionWait<'static, 'static, Rc<u32>>>();
}
