//! A local task stays on its thread, and may outlive whoever made it too.

fn main() {
    kumihimo::run(async {
        let text = String::from("borrowed");
        let task = kumihimo::create_local_task(async { println!("{text}") });
        task.await;
    });
}
