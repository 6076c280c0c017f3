//! `gather!` and `try_gather!`: the functions without the double parentheses.

/// [`gather`](fn@crate::gather), written `gather!(a, b, c)`.
///
/// ```
/// use kumihimo as asyncio;
///
/// let (one, two) = asyncio::run(async { asyncio::gather!(async { 1 }, async { "two" }).await });
/// assert_eq!((one, two), (1, "two"));
/// ```
#[doc(alias = "asyncio.gather")]
#[macro_export]
macro_rules! gather {
    ($($future:expr),* $(,)?) => { $crate::gather(($($future,)*)) };
}

/// [`try_gather`](fn@crate::try_gather), written `try_gather!(a, b, c)`.
///
/// ```
/// use kumihimo as asyncio;
///
/// async fn parse(text: &'static str) -> Result<i32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// let both = asyncio::run(async { asyncio::try_gather!(parse("1"), parse("2")).await });
/// assert_eq!(both, Ok((1, 2)));
/// let one = asyncio::run(async { asyncio::try_gather!(parse("1"), parse("two")).await });
/// assert!(one.is_err());
/// ```
#[doc(alias = "asyncio.gather")]
#[macro_export]
macro_rules! try_gather {
    ($($future:expr),* $(,)?) => { $crate::try_gather(($($future,)*)) };
}
