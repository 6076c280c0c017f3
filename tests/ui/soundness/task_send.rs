//! A `Task` whose output is not `Send` stays on its thread.

use std::rc::Rc;

use kumihimo::Task;

fn assert_send<T: Send>() {}

fn main() {
    assert_send::<Task<Rc<()>>>();
}
