//! A lock is released by its guard, and by nothing else.

use kumihimo::Lock;

fn main() {
    let lock = Lock::new();
    lock.release();
}
