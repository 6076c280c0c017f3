//! The main future may borrow, and stays on its thread.

use std::cell::Cell;
use std::rc::Rc;

fn main() {
    let text = String::from("borrowed");
    let count = Rc::new(Cell::new(0));
    let length = kumihimo::run(async {
        kumihimo::yield_now().await;
        count.set(count.get() + 1);
        text.len()
    });
    assert_eq!((length, count.get()), (8, 1));

    let runner = kumihimo::Runner::builder().current_thread().build().unwrap();
    let text: &str = runner.run(async { text.as_str() }).unwrap();
    assert_eq!(text, "borrowed");
}
