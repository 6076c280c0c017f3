#[kumihimo::test]
fn it_works() {}

fn main() {}
