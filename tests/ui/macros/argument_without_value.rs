#[kumihimo::main(debug)]
async fn main() {}
