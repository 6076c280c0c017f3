//! A clean-up that may become a task must be able to.

use kumihimo::finally;

fn main() {
    let text = String::from("borrowed");
    kumihimo::run(async {
        finally(async {}, async { println!("{text}") }).or_spawn().await;
    });
}
