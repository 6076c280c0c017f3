#[kumihimo::main]
fn main() {}
