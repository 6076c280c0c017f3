//! The value is reached through the guard, and the guard through the lock.

use kumihimo::{Lock, LockGuard};

fn value(lock: &Lock<String>) -> &str {
    let guard = lock.try_acquire().unwrap();
    &guard
}

fn guard() -> LockGuard<'static, String> {
    let lock = Lock::with_value(String::new());
    lock.try_acquire().unwrap()
}

fn main() {
    guard();
    value(&Lock::with_value(String::new()));
}
