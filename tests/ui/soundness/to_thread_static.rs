//! A job goes on when its awaiter is cancelled.

fn main() {
    let text = String::from("borrowed");
    kumihimo::run(async {
        kumihimo::to_thread(|| println!("{text}")).await;
    });
    drop(text);
}
