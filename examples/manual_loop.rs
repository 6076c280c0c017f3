//! A loop run by hand, and what it says of itself on the way. Run it with `cargo run --example manual_loop`.

use kumihimo as asyncio;
use kumihimo::EventLoop;

async fn inside(event_loop: EventLoop) {
    println!("inside: running {}", event_loop.is_running());
}

fn main() {
    let event_loop = asyncio::new_event_loop();
    println!("before: running {}", event_loop.is_running());
    event_loop.run_until_complete(inside(event_loop.clone()));
    event_loop.close();
    println!("after: running {} closed {}", event_loop.is_running(), event_loop.is_closed());
}
