//! A local task may hold, and give, what stays on its thread.

use std::rc::Rc;

#[kumihimo::main(worker_threads = 2)]
async fn main() {
    let value = Rc::new(1);
    let task = kumihimo::create_local_task(async move {
        kumihimo::yield_now().await;
        value
    });
    assert_eq!(*task.await, 1);
}
