//! A task may outlive whoever made it.

fn main() {
    kumihimo::run(async {
        let text = String::from("borrowed");
        let task = kumihimo::create_task(async { println!("{text}") });
        task.await;
    });
}
