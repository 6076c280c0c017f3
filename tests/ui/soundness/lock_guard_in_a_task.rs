//! A task that holds a guard across an await may go to another worker.

use std::rc::Rc;
use std::sync::Arc;

use kumihimo::Lock;

fn main() {
    kumihimo::run(async {
        kumihimo::create_task(async {
            let lock = Arc::new(Lock::with_value(Rc::new(1)));
            let guard = lock.acquire().await;
            kumihimo::yield_now().await;
            drop(guard);
        })
        .await;
    });
}
