#[kumihimo::main]
struct Main;

fn main() {}
