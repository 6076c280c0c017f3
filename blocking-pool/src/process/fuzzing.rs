//! What the fuzz targets reach of the crate's inside; there with `--cfg fuzzing` only.

use std::iter::once;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::function::Function;
use super::wire::{Decoder, WireError};

/// Feeds a stream to both sides' decoders, in pieces and whole: the outcome must be the same.
pub fn decode(frame_limit: u32, pieces: &[&[u8]]) {
    let whole = pieces.concat();
    assert_eq!(requests(frame_limit, pieces), requests(frame_limit, &[&whole]));
    assert_eq!(replies(frame_limit, pieces), replies(frame_limit, &[&whole]));
}

/// Calls `f` as a worker would, with this for an argument; returns the encoded result.
pub fn call<A, R>(f: fn(A) -> R, argument: &[u8], limit: usize) -> Option<Vec<u8>>
where
    A: DeserializeOwned + 'static,
    R: Serialize + 'static,
{
    let function = Function::one(f).expect("the fuzz target is the program");
    let mut out = b"before".to_vec();
    // SAFETY: made a moment ago, in this process.
    let outcome = unsafe { function.call(argument, &mut out, limit) };
    let result = out.split_off(6);
    assert_eq!(out, b"before");
    match outcome {
        Ok(()) => {
            assert!(result.len() <= limit);
            Some(result)
        }
        Err(_) => {
            assert!(result.is_empty());
            None
        }
    }
}

/// The frames, as text, and the error that ended them.
type Frames = (Vec<String>, Option<WireError>);

fn requests(frame_limit: u32, pieces: &[&[u8]]) -> Frames {
    frames(frame_limit, pieces, |decoder| Ok(decoder.next_request()?.map(|frame| format!("{frame:?}"))))
}

fn replies(frame_limit: u32, pieces: &[&[u8]]) -> Frames {
    frames(frame_limit, pieces, |decoder| Ok(decoder.next_reply()?.map(|frame| format!("{frame:?}"))))
}

fn frames(
    frame_limit: u32,
    pieces: &[&[u8]],
    next: impl Fn(&mut Decoder) -> Result<Option<String>, WireError>,
) -> Frames {
    let mut decoder = Decoder::new(frame_limit);
    let mut frames = Vec::new();
    // Once more at the end, so that it is looked at without any piece too.
    for piece in pieces.iter().chain(once(&&[][..])) {
        decoder.room().extend_from_slice(piece);
        loop {
            match next(&mut decoder) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, decoder.end().err())
}
