//! What is set through a promise of a shorter lifetime would be read through its clone of a longer one.

use kumihimo::Promise;

fn shorten<'a>(promise: Promise<&'static str>) -> Promise<&'a str> {
    promise
}

fn main() {
    let _ = shorten;
}
