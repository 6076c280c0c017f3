//! What is made of a `Task` has its bounds.

use std::rc::Rc;

use kumihimo::future::Outcome;

fn assert_send<T: Send>() {}

fn main() {
    assert_send::<Outcome<Rc<()>>>();
}
