//! A task's output goes from the worker that ran it to whoever awaits it.

use std::rc::Rc;

fn main() {
    kumihimo::run(async {
        let value = kumihimo::create_task(async { Rc::new(1) }).await;
        drop(value);
    });
}
