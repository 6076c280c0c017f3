//! Arguments and results as bytes: postcard, with a short cut for plain bytes.

use std::any::Any;
use std::error::Error;
use std::fmt;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends `value` to `out`; on an error `out` is as it was.
///
/// # Errors
///
/// The value takes more than `limit` bytes, or its `Serialize` says no.
pub(crate) fn encode<T: Serialize + 'static>(
    value: &T,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), EncodeError> {
    let begin = out.len();
    let outcome = append(value, Bounded { out, size: 0, limit });
    let error = match outcome {
        Ok(size) if size <= limit => return Ok(()),
        Ok(size) => EncodeError::TooLarge { size, limit },
        Err(error) => EncodeError::Unencodable(error.to_string()),
    };
    out.truncate(begin);
    Err(error)
}

/// The value that `bytes` are, to the last one.
///
/// # Errors
///
/// The bytes end too early or too late, or are no `T`.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = match take_bytes(bytes) {
        Some(taken) => taken,
        None => postcard::take_from_bytes(bytes).map_err(|error| DecodeError(Fault::Postcard(error)))?,
    };
    if rest.is_empty() { Ok(value) } else { Err(DecodeError(Fault::Trailing(rest.len()))) }
}

/// Writes `value`, and says how many bytes it takes.
fn append<T: Serialize + 'static>(value: &T, mut flavor: Bounded<'_>) -> postcard::Result<usize> {
    // Serde visits a `Vec<u8>` byte by byte; what postcard makes of it can be copied in one go.
    if let Some(bytes) = (value as &dyn Any).downcast_ref::<Vec<u8>>() {
        let length = postcard::serialize_with_flavor(&bytes.len(), flavor.reborrow())?;
        flavor.size = length;
        flavor.try_extend(bytes)?;
        return flavor.finalize();
    }
    postcard::serialize_with_flavor(value, flavor)
}

/// The short cut of `append`, backwards: `None` unless `T` is `Vec<u8>` and the bytes are all there.
fn take_bytes<T: 'static>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let mut value: Option<T> = None;
    let place = (&mut value as &mut dyn Any).downcast_mut::<Option<Vec<u8>>>()?;
    let (length, rest) = postcard::take_from_bytes::<usize>(bytes).ok()?;
    let (content, rest) = rest.split_at_checked(length)?;
    *place = Some(content.to_vec());
    Some((value?, rest))
}

/// Appends to a vector up to a limit, and goes on counting beyond it, so that the error can tell the size.
struct Bounded<'a> {
    /// Where the bytes go.
    out: &'a mut Vec<u8>,
    /// Bytes of the value so far; those of them beyond `limit` are not in `out`.
    size: usize,
    /// The most bytes that are kept.
    limit: usize,
}

impl Bounded<'_> {
    /// The same place for a part of the value.
    fn reborrow(&mut self) -> Bounded<'_> {
        Bounded { out: self.out, size: self.size, limit: self.limit }
    }
}

impl Flavor for Bounded<'_> {
    type Output = usize;

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.size = self.size.saturating_add(data.len());
        if self.size <= self.limit {
            self.out.extend_from_slice(data);
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.size = self.size.saturating_add(1);
        if self.size <= self.limit {
            self.out.push(data);
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.size)
    }
}

/// Why a value was not encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EncodeError {
    /// It takes more bytes than a frame may carry.
    TooLarge {
        /// Bytes it takes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Its `Serialize` failed; what it said.
    Unencodable(String),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::TooLarge { size, limit } => {
                write!(f, "the value takes {size} bytes, over the limit of {limit}")
            }
            EncodeError::Unencodable(text) => write!(f, "the value can't be encoded: {text}"),
        }
    }
}

impl Error for EncodeError {}

/// Why bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodeError(Fault);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Postcard(postcard::Error),
    /// So many bytes are left after the value.
    Trailing(usize),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::Postcard(error) => write!(f, "the bytes are no value of the type: {error}"),
            Fault::Trailing(count) => write!(f, "{count} bytes are left over after the value"),
        }
    }
}

impl Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug + 'static>(value: T) -> Vec<u8> {
        let mut out = b"before".to_vec();
        encode(&value, &mut out, usize::MAX).unwrap();
        let bytes = out.split_off(6);
        assert_eq!(out, b"before");
        assert_eq!(bytes, postcard::to_stdvec(&value).unwrap(), "the short cut is postcard's format");
        assert_eq!(decode::<T>(&bytes).unwrap(), value);
        bytes
    }

    #[test]
    fn values_come_back() {
        round_trip(());
        round_trip(u128::MAX);
        round_trip((1_u8, -2_i64, 'x', "text".to_string(), Some(vec![1.5_f64]), [7_u16; 5]));
        for length in [0, 1, 127, 128, 70_000] {
            round_trip(vec![0x80_u8; length]);
        }
    }

    #[test]
    fn the_limit_is_a_limit_and_the_error_tells_the_size() {
        let mut out = vec![1, 2, 3];
        let text = "x".repeat(1000);
        let too_large = |limit| Err(EncodeError::TooLarge { size: 1002, limit });
        assert_eq!(encode(&text, &mut out, 1001), too_large(1001));
        assert_eq!(encode(&text.clone().into_bytes(), &mut out, 10), too_large(10));
        assert_eq!(encode(&vec![7_u16; 1000], &mut out, 10), too_large(10));
        assert_eq!(out, [1, 2, 3]);
        encode(&text, &mut out, 1002).unwrap();
        assert_eq!(out.len(), 1005);
    }

    #[test]
    fn bytes_too_few_or_too_many_are_errors() {
        for value in [vec![1_u8, 2, 3], vec![9; 300]] {
            let bytes = round_trip(value);
            for end in 0..bytes.len() {
                decode::<Vec<u8>>(&bytes[..end]).unwrap_err();
            }
            let longer = [&bytes[..], &[0]].concat();
            let error = decode::<Vec<u8>>(&longer).unwrap_err();
            assert_eq!(error.to_string(), "1 bytes are left over after the value");
        }
        decode::<()>(&[0]).unwrap_err();
        decode::<String>(&[2, 0xff, 0xff]).unwrap_err();
    }

    struct Unencodable;

    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    #[test]
    fn a_serialize_that_fails_leaves_nothing_behind() {
        let mut out = Vec::new();
        assert!(matches!(encode(&(1, Unencodable), &mut out, 10), Err(EncodeError::Unencodable(_))));
        assert!(out.is_empty());
    }
}
