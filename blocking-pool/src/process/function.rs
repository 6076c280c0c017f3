//! A function as three numbers that mean the same in every process of this program.
//!
//! The loader moves the program as a whole, so the distance of a function from a fixed place in it, the *anchor*, is the
//! same in each process that runs the same build. A plain address says nothing about types; so a second address goes
//! along, of a *trampoline*: the instance of a generic function that knows how to decode the argument, call, and
//! encode the result.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::mem;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{self, EncodeError};
use super::image;

/// A function of the main program, to be called in another process of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Where the trampoline is, from the anchor.
    trampoline: i64,
    /// Where the function is, from the anchor.
    function: i64,
    /// The hash of the shape's and the types' names.
    types: u64,
}

/// Decodes an argument, calls the function at the address, and appends the encoded result.
///
/// Unsafe to call unless the function has the types that the trampoline was made for.
type Trampoline = unsafe fn(function: usize, types: u64, argument: &[u8], result: Space<'_>) -> Outcome;

/// Whether the result was appended.
type Outcome = Result<(), CallFailure>;

/// Where a result goes, and the most bytes that it may take.
struct Space<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
}

/// How the bytes of the argument and the result relate to the function's own types.
#[derive(Clone, Copy)]
enum Shape {
    One,
    None,
    Chunk,
}

impl Function {
    /// A function of one argument.
    ///
    /// # Errors
    ///
    /// It is not in the main program but in a shared library, whose address would mean nothing elsewhere.
    pub(crate) fn one<A, R>(f: fn(A) -> R) -> Result<Function, ForeignFunction>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        Function::new(f as usize, call_one::<A, R>, types::<A, R>(Shape::One), type_name::<fn(A) -> R>())
    }

    /// A function without argument; the argument's bytes are those of `()`, which are none.
    ///
    /// # Errors
    ///
    /// As `one`.
    pub(crate) fn none<R>(f: fn() -> R) -> Result<Function, ForeignFunction>
    where
        R: Serialize + 'static,
    {
        Function::new(f as usize, call_none::<R>, types::<(), R>(Shape::None), type_name::<fn() -> R>())
    }

    /// A function that is called for each of many arguments: the argument is a `Vec<A>`, the result a `Vec<R>`.
    ///
    /// # Errors
    ///
    /// As `one`.
    pub(crate) fn chunk<A, R>(f: fn(A) -> R) -> Result<Function, ForeignFunction>
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        Function::new(f as usize, call_chunk::<A, R>, types::<A, R>(Shape::Chunk), type_name::<fn(A) -> R>())
    }

    fn new(
        function: usize,
        trampoline: Trampoline,
        types: u64,
        name: &'static str,
    ) -> Result<Function, ForeignFunction> {
        let trampoline = trampoline as usize;
        if !image::contains(function) || !image::contains(trampoline) {
            return Err(ForeignFunction { name });
        }
        Ok(Function { trampoline: offset(trampoline), function: offset(function), types })
    }

    /// Bytes of an encoded function.
    pub(crate) const SIZE: usize = 24;

    /// The function as bytes.
    pub(crate) fn to_bytes(self) -> [u8; Function::SIZE] {
        let mut bytes = [0; Function::SIZE];
        bytes[..8].copy_from_slice(&self.trampoline.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.function.to_le_bytes());
        bytes[16..].copy_from_slice(&self.types.to_le_bytes());
        bytes
    }

    /// The function that the bytes are; whether there is such a one is seen by `call`.
    pub(crate) fn from_bytes(bytes: &[u8; Function::SIZE]) -> Function {
        let (words, _) = bytes.as_chunks::<8>();
        Function {
            trampoline: i64::from_le_bytes(words[0]),
            function: i64::from_le_bytes(words[1]),
            types: u64::from_le_bytes(words[2]),
        }
    }

    /// Calls the function here, and appends its result to `out`, in at most `limit` bytes.
    ///
    /// Unwinds if the function does, or a user's part of decoding and encoding.
    ///
    /// # Errors
    ///
    /// See `CallFailure`; `out` is as before then.
    ///
    /// # Safety
    ///
    /// The value was made by `one`, `none` or `chunk` in a process that runs this very build.
    pub(crate) unsafe fn call(&self, argument: &[u8], out: &mut Vec<u8>, limit: usize) -> Outcome {
        let (trampoline, function) = (address(self.trampoline), address(self.function));
        if !image::contains(trampoline) || !image::contains(function) {
            return Err(CallFailure::Foreign);
        }
        // SAFETY: by the caller's promise `Function::new` was given a trampoline that is at the same distance from
        // the anchor there as here; so this is one.
        let trampoline = unsafe { mem::transmute::<usize, Trampoline>(trampoline) };
        // SAFETY: and `function` is what it was made with. The trampoline compares the types once more.
        unsafe { trampoline(function, self.types, argument, Space { out, limit }) }
    }
}

/// What distances are counted from. A static, since a function may be there more than once, at several addresses.
static ANCHOR: u8 = 0;

/// Where the anchor is in this process.
pub(super) fn anchor_address() -> usize {
    &raw const ANCHOR as usize
}

fn offset(address: usize) -> i64 {
    (address as i64).wrapping_sub(anchor_address() as i64)
}

fn address(offset: i64) -> usize {
    offset.wrapping_add(anchor_address() as i64) as usize
}

/// The trampoline of `Function::one`.
///
/// # Safety
///
/// If `types` is the hash of `One`, `A` and `R`, then `function` is a `fn(A) -> R`.
unsafe fn call_one<A, R>(function: usize, types: u64, argument: &[u8], result: Space<'_>) -> Outcome
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    check(types, self::types::<A, R>(Shape::One))?;
    // SAFETY: the types are right, so it is what the caller promises.
    let f = unsafe { mem::transmute::<usize, fn(A) -> R>(function) };
    result.put(&f(take(argument)?))
}

/// The trampoline of `Function::none`.
///
/// # Safety
///
/// If `types` is the hash of `None` and `R`, then `function` is a `fn() -> R`.
unsafe fn call_none<R>(function: usize, types: u64, argument: &[u8], result: Space<'_>) -> Outcome
where
    R: Serialize + 'static,
{
    check(types, self::types::<(), R>(Shape::None))?;
    // SAFETY: the types are right, so it is what the caller promises.
    let f = unsafe { mem::transmute::<usize, fn() -> R>(function) };
    take::<()>(argument)?;
    result.put(&f())
}

/// The trampoline of `Function::chunk`.
///
/// # Safety
///
/// If `types` is the hash of `Chunk`, `A` and `R`, then `function` is a `fn(A) -> R`.
unsafe fn call_chunk<A, R>(function: usize, types: u64, argument: &[u8], result: Space<'_>) -> Outcome
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    check(types, self::types::<A, R>(Shape::Chunk))?;
    // SAFETY: the types are right, so it is what the caller promises.
    let f = unsafe { mem::transmute::<usize, fn(A) -> R>(function) };
    let results: Vec<R> = take::<Vec<A>>(argument)?.into_iter().map(f).collect();
    result.put(&results)
}

fn check(there: u64, here: u64) -> Outcome {
    if there == here { Ok(()) } else { Err(CallFailure::Types) }
}

fn take<A: DeserializeOwned + 'static>(argument: &[u8]) -> Result<A, CallFailure> {
    codec::decode(argument).map_err(|error| CallFailure::Argument(error.to_string()))
}

impl Space<'_> {
    fn put<R: Serialize + 'static>(self, result: &R) -> Outcome {
        codec::encode(result, self.out, self.limit).map_err(|error| match error {
            EncodeError::TooLarge { size, limit } => {
                CallFailure::TooLarge { size: size as u64, limit: limit as u64 }
            }
            EncodeError::Unencodable(text) => CallFailure::Result(text),
        })
    }
}

/// The hash of the types' names, with the shape: equal in all processes of a build, and hardly ever equal by chance.
fn types<A, R>(shape: Shape) -> u64 {
    fnv(type_name::<fn(A) -> R>().as_bytes(), shape as u8)
}

/// FNV-1a.
fn fnv(bytes: &[u8], last: u8) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    step(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step), &last)
}

/// The function is not in the main program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignFunction {
    /// The function's type.
    name: &'static str,
}

impl fmt::Display for ForeignFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !image::KNOWN {
            return f.write_str(
                "process pools do not work on this platform: how to find a function is not known",
            );
        }
        write!(
            f,
            "the function of type `{}` is not part of the main program but of a shared library, whose functions a \
             worker process can't find; call it from a function of the program and submit that one",
            self.name,
        )
    }
}

impl Error for ForeignFunction {}

/// Why a call has no result, though nothing panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallFailure {
    /// The argument's bytes can't be decoded.
    Argument(String),
    /// The result can't be encoded.
    Result(String),
    /// The result is too large for a frame.
    TooLarge {
        /// Bytes it takes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// There is no function there.
    Foreign,
    /// The function there has other types.
    Types,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallFailure::Argument(text) => write!(
                f,
                "the worker could not decode the argument: {text} (its `Serialize` and `Deserialize` must agree, \
                 without describing themselves)",
            ),
            CallFailure::Result(text) => write!(f, "the worker could not encode the result: {text}"),
            CallFailure::TooLarge { size, limit } => write!(
                f,
                "the result takes {size} bytes, over the frame limit of {limit}; return less, write it to a file, or \
                 raise the limit",
            ),
            CallFailure::Foreign => f.write_str("the worker has no function at the place that was sent"),
            CallFailure::Types => {
                f.write_str("the worker's function at the place that was sent has other types")
            }
        }
    }
}

impl Error for CallFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    /// What a process does with a function that came over the wire.
    fn call(function: Function, argument: &[u8]) -> Result<Vec<u8>, CallFailure> {
        let function = Function::from_bytes(&function.to_bytes());
        let mut out = Vec::new();
        // SAFETY: the tests' functions are made by the constructors, or refused before they are called.
        unsafe { function.call(argument, &mut out, LIMIT) }.map(|()| out)
    }

    fn check<A, R>(f: fn(A) -> R, argument: A, result: R)
    where
        A: Serialize + DeserializeOwned + Clone + 'static,
        R: Serialize + DeserializeOwned + Clone + PartialEq + fmt::Debug + 'static,
    {
        let bytes = postcard::to_stdvec(&argument).unwrap();
        let answer = call(Function::one(f).unwrap(), &bytes).unwrap();
        assert_eq!(postcard::from_bytes::<R>(&answer).unwrap(), result);
        let bytes = postcard::to_stdvec(&vec![argument.clone(), argument]).unwrap();
        let answer = call(Function::chunk(f).unwrap(), &bytes).unwrap();
        assert_eq!(postcard::from_bytes::<Vec<R>>(&answer).unwrap(), [result.clone(), result]);
    }

    fn generic<T: Clone>(value: T) -> (T, T) {
        (value.clone(), value)
    }

    #[test]
    fn functions_of_all_shapes_and_sizes() {
        check(|(): ()| (), (), ());
        check(|n: u128| n - 1, u128::MAX, u128::MAX - 1);
        check(|text: String| text.len(), "four".to_string(), 4);
        check(generic::<u8>, 3, (3, 3));
        check(generic::<[u64; 9]>, [1; 9], ([1; 9], [1; 9]));
        type Many = (u8, u16, u32, u64, i128, char, f32, bool, [u64; 30], Option<()>);
        let many: Many = (1, 2, 3, 4, 5, 'c', 1.5, true, [0; 30], Some(()));
        check(|all: Many| all, many, many);
        check(|bytes: Vec<u8>| bytes.iter().rev().copied().collect::<Vec<_>>(), vec![1, 2, 3], vec![3, 2, 1]);
        assert_eq!(call(Function::none(|| 7_u8).unwrap(), &[]).unwrap(), [7]);
    }

    #[test]
    fn an_argument_that_is_none() {
        let one = Function::one(|n: u32| n).unwrap();
        assert!(matches!(call(one, &[]), Err(CallFailure::Argument(_))));
        assert!(matches!(call(one, &[1, 1]), Err(CallFailure::Argument(text)) if text.contains("left over")));
        assert!(matches!(call(Function::none(|| ()).unwrap(), &[0]), Err(CallFailure::Argument(_))));
    }

    #[test]
    fn a_result_over_the_limit() {
        let large = Function::one(|n: usize| "x".repeat(n)).unwrap();
        let argument = postcard::to_stdvec(&(2 * LIMIT)).unwrap();
        let failure = CallFailure::TooLarge { size: 2 * LIMIT as u64 + 4, limit: LIMIT as u64 };
        assert_eq!(call(large, &argument), Err(failure));
    }

    #[test]
    fn types_are_compared() {
        let mut function = Function::one(|n: u32| n).unwrap();
        assert_ne!(function.types, Function::one(|n: i32| n).unwrap().types);
        assert_ne!(function.types, Function::chunk(|n: u32| n).unwrap().types);
        function.types += 1;
        assert_eq!(call(function, &[1]), Err(CallFailure::Types));
    }

    #[test]
    fn what_is_not_in_the_program_is_refused() {
        let mut function = Function::one(|n: u32| n).unwrap();
        // SAFETY: never called; only its address is looked at.
        let foreign = unsafe { mem::transmute::<usize, fn(u32) -> u32>(libc::getpid as *const () as usize) };
        let error = Function::one(foreign).unwrap_err();
        assert!(error.to_string().contains("fn(u32) -> u32"), "{error}");
        function.trampoline = i64::MAX;
        assert_eq!(call(function, &[1]), Err(CallFailure::Foreign));
        function = Function::one(|n: u32| n).unwrap();
        function.function = offset(&raw const function as usize);
        assert_eq!(call(function, &[1]), Err(CallFailure::Foreign));
    }
}
