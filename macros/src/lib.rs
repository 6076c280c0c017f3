//! `#[kumihimo::main]` and `#[kumihimo::test]`.
//!
//! Use them through the `kumihimo` crate, which re-exports them; what they expand to calls that crate.
//!
//! The function's body is moved unchanged into an `async fn` of the same signature inside the new function, so types are
//! inferred and errors reported as in any other `async fn`. `args.rs` reads the attribute's arguments, `expand.rs`
//! writes the function.

#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod args;
mod expand;

use expand::{Kind, expand};

/// Makes an `async fn` the program's main function: `asyncio.run(main())`.
///
/// | argument | default | meaning |
/// |---|---|---|
/// | `worker_threads = N` | one per core | how many threads run tasks |
/// | `flavor = "current_thread"` | `"multi_thread"` | everything on the calling thread |
/// | `debug = true` | the environment's setting | asyncio's debug mode |
/// | `start_paused = true` | `false` | the clock is paused, and advances by itself when nothing else is to do |
/// | `crate = "path"` | `"::kumihimo"` | where the `kumihimo` crate is found |
///
/// The function takes no arguments and is not generic. It may return whatever a main function may.
///
/// ```ignore
/// #[kumihimo::main]
/// async fn main() -> std::io::Result<()> {
///     let text = kumihimo::to_thread(|| std::fs::read_to_string("Cargo.toml")).await?;
///     println!("{} bytes", text.len());
///     Ok(())
/// }
/// ```
///
/// # Panics
///
/// Where `kumihimo::run` does: inside a loop that runs already, for one.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Main, args.into(), item.into()).into()
}

/// Makes an `async fn` a unit test.
///
/// The arguments are those of [`macro@main`], but a test runs on the calling thread unless `worker_threads = N` or
/// `flavor = "multi_thread"` is given. `#[should_panic]`, `#[ignore]` and a `Result` as return type work as in other
/// tests.
///
/// ```ignore
/// #[kumihimo::test(start_paused = true)]
/// async fn an_hour_passes() {
///     kumihimo::sleep(std::time::Duration::from_secs(3600)).await;
/// }
/// ```
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Test, args.into(), item.into()).into()
}
