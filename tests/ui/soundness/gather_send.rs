//! Futures given to `gather` become tasks.

use std::rc::Rc;

async fn local() {
    let value = Rc::new(1);
    kumihimo::yield_now().await;
    drop(value);
}

fn main() {
    kumihimo::run(async {
        kumihimo::gather!(local(), async {}).await;
    });
}
