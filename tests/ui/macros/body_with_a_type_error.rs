//! Errors in the body point into the body.

#[kumihimo::main]
async fn main() -> Result<(), String> {
    let number: u32 = "text";
    Ok(number)
}
