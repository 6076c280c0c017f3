//! A `Runner` owns tasks that are pinned to its thread.

use kumihimo::Runner;

fn main() {
    let runner = Runner::builder().build().unwrap();
    std::thread::spawn(move || runner.run(async {}));
}
