#[kumihimo::main(flavor = "one_thread")]
async fn main() {}
