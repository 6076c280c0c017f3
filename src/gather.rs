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
/// let sum: Result<_, String> = asyncio::run(async {
///     let (one, two) = asyncio::try_gather!(async { Ok(1) }, async { Ok(2) }).await?;
///     Ok(one + two)
/// });
/// assert_eq!(sum, Ok(3));
/// ```
#[doc(alias = "asyncio.gather")]
#[macro_export]
macro_rules! try_gather {
    ($($future:expr),* $(,)?) => { $crate::try_gather(($($future,)*)) };
}
