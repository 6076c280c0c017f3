//! Any worker may run a task, so nothing that stays on its thread may live across an await.

use std::rc::Rc;

fn main() {
    kumihimo::run(async {
        kumihimo::create_task(async {
            let value = Rc::new(1);
            kumihimo::yield_now().await;
            drop(value);
        })
        .await;
    });
}
