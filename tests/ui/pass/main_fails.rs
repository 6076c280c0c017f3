//! A main function may return a `Result`.

#[kumihimo::main(flavor = "current_thread", debug = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number: u32 = "42".parse()?;
    assert_eq!(number, 42);
    Ok(())
}
