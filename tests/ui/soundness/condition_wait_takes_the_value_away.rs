//! While a condition waits, others have the lock: what was borrowed from the guard must be over, and nothing can be.

use kumihimo::Condition;

async fn before(condition: &Condition<String>) {
    let mut guard = condition.acquire().await;
    let text: &str = &guard;
    condition.wait(&mut guard).await;
    println!("{text}");
}

async fn meanwhile(condition: &Condition<String>) {
    let mut guard = condition.acquire().await;
    let waiting = condition.wait(&mut guard);
    guard.push('!');
    waiting.await;
}

fn main() {
    let condition = Condition::with_value(String::new());
    kumihimo::run(before(&condition));
    kumihimo::run(meanwhile(&condition));
}
